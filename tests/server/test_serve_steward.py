"""The steward's pages: what waits, what was refused, and decisions handed in."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from governance_case import NAMES, key_of, words
from page_case import NASTY, described_case, get, sign_in
from release_case import Case
from served_case import Served, publish_all, serving

from stepdown.errors import Refused
from stepdown.release.decisions.approvals import SignedRemarks, signed_decision
from stepdown.release.ledger.addresses import Series
from stepdown.release.ledger.ledger import record_run
from stepdown.release.reading.catalogue import find_release
from stepdown.release.requirements.sign_off import statement_of
from stepdown.sharing.readers.settings import Settings
from stepdown.sharing.routes.steward_views import decide
from stepdown.sharing.server import make_service
from stepdown.vocabulary import ReleaseState, Tier

STEWARD = "Stu Steward"
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; frame-ancestors 'none'"
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    case = described_case(tmp_path_factory.mktemp("steward"))
    publish_all(case)
    states = {"internal": "published", "public": "awaiting_approval"}
    record_run(case.ledger, Series("wells", Tier.INTERNAL), "run-1", "tester", {"states": states})
    case.submit(Tier.PUBLIC, parent="wells/partner/v1", smallest_class=3)
    with serving(case) as served:
        yield served


def wait(case: Case, age: str) -> str:
    """A public release that waits for three signatures; the one that waited before expires."""
    address = case.submit(Tier.PUBLIC, parent="wells/partner/v1", age=age).release
    assert address is not None
    return address


def signed(case: Case, address: str, role: str, decision: str = "approve", **said: Any) -> bytes:
    """What `stepdown sign` makes for the person in a role."""
    bound = statement_of(find_release(case.ledger, address), decision) | said
    spoken = words(role) if decision == "approve" else SignedRemarks("", "too narrow")
    return signed_decision(bound, key_of(role), NAMES[role], spoken).as_bytes()


def hand_in(client: httpx.Client, address: str, content: bytes, **headers: str) -> httpx.Response:
    own = {"origin": str(client.base_url).rstrip("/")}
    files = {"signed": ("signed.json", content, "application/json")}
    path = f"/steward/candidates/{address}"
    return client.post(path, files=files, headers=own | headers)


def test_readers_find_no_stewards_pages(served: Served) -> None:
    paths = (
        "/steward",
        "/steward/access",
        "/steward/nothing",
        "/steward/candidates/wells/public/v1",
        "/steward/candidates/wells/public/v1/report",
    )
    own = {"origin": served.url}
    for who in ("", "clinic", "Eva Epi"):
        with sign_in(served, who) as client:
            bodies = {client.get(path).text.replace(path, "") for path in paths}
            assert len(bodies) == 1
            assert {client.get(path).status_code for path in paths} == {404}
            assert client.post(paths[3], data={"pasted": "{}"}, headers=own).status_code == 404
            assert "/steward" not in get(client, "/").links


def test_the_overview_tells_what_waits_what_ran_and_what_was_refused(served: Served) -> None:
    address = wait(served.case, "[25, 30)")
    with sign_in(served, STEWARD, role="steward") as client:
        client.get("/releases/wells/public/v1/data.csv")
        found = until(client, "/steward", "data/part-00000.parquet as csv")
        assert f"/steward/candidates/{address}" in found.links
        for fact in (
            "approval as risk_officer",
            "internal: published; public: awaiting approval",
            "the policy asks for at least 11",
            STEWARD,
            NASTY,
        ):
            assert fact in found.text, fact
        assert found.count("script") == 0
        assert found.count("h1") == 1


def until(client: httpx.Client, path: str, text: str) -> Any:
    """A page once it says something; the log is written once a second."""
    for _ in range(100):
        if text in (found := get(client, path)).text:
            return found
        time.sleep(0.1)
    raise AssertionError(f"{text} is nowhere on {path}")


def test_a_steward_sees_who_signed_and_why(served: Served) -> None:
    address = wait(served.case, "[30, 35)")
    served.case.approve(address, "risk_officer", "because of the wells")
    with sign_in(served, STEWARD, role="steward") as client:
        assert "because of the wells" in get(client, f"/steward/candidates/{address}").text


def test_the_full_report_is_shown_and_cannot_run_anything(served: Served) -> None:
    address = wait(served.case, "[35, 40)")
    with sign_in(served, STEWARD, role="steward") as client:
        answer = client.get(f"/steward/candidates/{address}/report")
    assert "not for publication" in answer.text
    assert answer.headers["content-security-policy"] == REPORT_POLICY
    assert answer.headers["cache-control"] == "no-store"


def test_uploaded_signatures_publish(served: Served) -> None:
    case, address = served.case, wait(served.case, "[40, 45)")
    page = f"/steward/candidates/{address}"
    with sign_in(served, STEWARD, role="steward") as client:
        for role in ("steward", "risk_officer", "subject_representative"):
            assert case.state(address) is ReleaseState.AWAITING_APPROVAL
            answer = hand_in(client, address, signed(case, address, role))
            assert (answer.status_code, answer.headers["location"]) == (303, page)
        assert case.state(address) is ReleaseState.PUBLISHED
        assert "It is published" in get(client, page).text
        assert f"/datasets/{address}" in get(client, "/").links


def test_a_pasted_rejection_ends_a_release(served: Served) -> None:
    case, address = served.case, wait(served.case, "[45, 50)")
    with sign_in(served, STEWARD, role="steward") as client:
        pasted = signed(case, address, "owner", "reject").decode().replace("\n", "\r\n")
        own = {"origin": served.url}
        path = f"/steward/candidates/{address}"
        assert client.post(path, data={"pasted": pasted}, headers=own).status_code == 303
        assert case.state(address) is ReleaseState.REJECTED
        assert "too narrow" in get(client, "/steward/refusals").text
        again = client.post(path, data={"pasted": pasted}, headers=own)
        assert again.status_code == 409
        assert "does not wait for approval" in again.text


def test_what_is_not_signed_as_it_should_be_is_refused(served: Served) -> None:
    case, address = served.case, wait(served.case, "[50, 55)")
    good = json.loads(signed(case, address, "steward"))
    forged = {**good, "statement": {**good["statement"], "reason": "something else"}}
    stranger = {**good, "public_key": key_of("owner").public}
    other = signed(case, address, "steward", manifest_sha256="0" * 64)
    with sign_in(served, STEWARD, role="steward") as client:
        for content, why in (
            (json.dumps(forged).encode(), "The signature is not over this statement"),
            (json.dumps(stranger).encode(), "the statement names somebody else"),
            (other, "The signature is over another manifest_sha256"),
            (b"{}", "Is not a signed statement"),
            (b"", "Is not a signed statement"),
            (b"\xff\x00" * 20, "Is not a signed statement"),
        ):
            answer = hand_in(client, address, content)
            assert answer.status_code == 400
            assert 'role="alert"' in answer.text
            assert why in answer.text
        assert case.state(address) is ReleaseState.AWAITING_APPROVAL
        assert find_release(case.ledger, address).approvals == []
        large = hand_in(client, address, b" " * (1 << 20))
        assert large.status_code == 413


def test_a_decision_sent_from_elsewhere_is_not_taken(served: Served) -> None:
    case, address = served.case, wait(served.case, "[55, 60)")
    content = signed(case, address, "owner", "reject")
    with sign_in(served, STEWARD, role="steward") as client:
        for headers in ({"origin": "https://elsewhere.example"}, {"sec-fetch-site": "same-site"}):
            assert hand_in(client, address, content, **headers).status_code == 404
    # With the token in the header too: the page's form comes from the page.
    with served.client(STEWARD, role="steward") as client:
        answer = hand_in(client, address, content, origin="https://elsewhere.example")
        assert answer.status_code == 403
    assert case.state(address) is ReleaseState.AWAITING_APPROVAL


def test_lists_go_back_in_time_a_page_at_a_time(served: Served) -> None:
    series = Series("wells", Tier.INTERNAL)
    for number in range(101):
        record_run(served.case.ledger, series, f"r{number}", f"runner-{number}", {"states": {}})
    with sign_in(served, STEWARD, role="steward") as client:
        first = get(client, "/steward/runs")
        (older,) = [link for link in first.links if "before=" in link]
        second = get(client, older)
    started = [re.findall(r"runner-\d+", found.text) for found in (first, second)]
    assert started == [[f"runner-{number}" for number in range(100, 0, -1)], ["runner-0"]]
    assert not [link for link in second.links if "before=" in link]


def test_the_register_is_asked_before_an_approval_is_recorded(tmp_path: Path) -> None:
    case = Case(tmp_path / "hook")
    publish_all(case)
    address = wait(case, "[25, 30)")
    asked = []

    def refuse(asked_about: str) -> None:
        asked.append(asked_about)
        raise Refused("somebody in it has withdrawn", where=asked_about)

    store = str(case.root / "store")
    service = make_service(case.workspace, store, Settings(), "http://data.example.org")
    service.before_approval = refuse
    with pytest.raises(Refused):
        decide(service, address, signed(case, address, "steward").decode())
    assert asked == [address]
    assert find_release(case.ledger, address).approvals == []
    decide(service, address, signed(case, address, "owner", "reject").decode())
    assert asked == [address]
    assert case.state(address) is ReleaseState.REJECTED
    service.log.close()
