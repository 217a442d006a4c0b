"""Serve the steward's pages: what waits for whom, and the form for a signed decision."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from stepdown.errors import InputWrong, MoveForbidden, StepdownError
from stepdown.sharing.readers.principals import Principal
from stepdown.sharing.routes.dependencies import ServiceOf, StewardOf
from stepdown.sharing.routes.forms import FormOf
from stepdown.sharing.routes.release_views import page_of
from stepdown.sharing.routes.render import REPORT_POLICY, base_of, page
from stepdown.sharing.routes.steward_views import (
    KINDS,
    candidate,
    decide,
    lines,
    report_path,
    waiting,
)
from stepdown.sharing.service import Service

_WAYS = ["GET", "HEAD"]
_FEW = 5
router = APIRouter(include_in_schema=False)


@router.api_route("/steward", methods=_WAYS)
def overview(service: ServiceOf, steward: StewardOf) -> Response:
    """What waits for approval, and the newest of everything else."""
    newest = {what: lines(service, what, most=_FEW) for what in KINDS}
    return page(service, steward, "steward.html", waiting=waiting(service), newest=newest)


@router.api_route("/steward/candidates/{address:path}/report", methods=_WAYS)
def full_report(service: ServiceOf, steward: StewardOf, address: str) -> Response:
    """The full report of a candidate."""
    facts = _candidate(service, steward, address)
    if not facts["has_report"]:
        raise service.not_found(steward, address)
    html = report_path(facts["release"]).read_text(encoding="utf-8")
    return HTMLResponse(html, headers={"content-security-policy": REPORT_POLICY})


@router.api_route("/steward/candidates/{address:path}", methods=_WAYS)
def candidate_page(service: ServiceOf, steward: StewardOf, address: str) -> Response:
    """One release, what it waits for, and where a decision is given."""
    return _page(service, steward, address)


@router.post("/steward/candidates/{address:path}")
def hand_in(service: ServiceOf, steward: StewardOf, address: str, form: FormOf) -> Response:
    """Take a signed decision."""
    found = _candidate(service, steward, address)["release"].address
    try:
        decide(service, found, form.get("signed", "").strip() or form.get("pasted", ""))
    except StepdownError as error:
        status = 409 if isinstance(error, MoveForbidden) else 400
        status = status if isinstance(error, InputWrong) else 503 if error.exit_code == 3 else 409
        return _page(service, steward, found, status, error)
    return RedirectResponse(f"{base_of(service)}/steward/candidates/{found}", 303)


@router.api_route("/steward/{what}", methods=_WAYS)
def listed(
    service: ServiceOf,
    steward: StewardOf,
    what: str,
    before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
) -> Response:
    """One list, a page at a time."""
    if what not in KINDS:
        raise service.not_found(steward, what)
    found = lines(service, what, before)
    return page(service, steward, "lines.html", what=what, found=found)


def _candidate(service: Service, steward: Principal, address: str) -> dict[str, Any]:
    try:
        return candidate(service, address)
    except InputWrong:
        raise service.not_found(steward, address) from None


def _page(
    service: Service,
    steward: Principal,
    address: str,
    status: int = 200,
    error: StepdownError | None = None,
) -> Response:
    facts = _candidate(service, steward, address)
    release = facts["release"]
    access = service.authority.now().access(release, steward)
    link = page_of(release) if access.allowed else ""
    return page(service, steward, "candidate.html", status, **facts, link=link, error=error)
