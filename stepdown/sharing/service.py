"""Find, check and send releases for the routes: what a reader may have, and how it is sent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from stepdown import clock
from stepdown.errors import InputWrong, StoreCorrupt
from stepdown.release.ledger.addresses import LATEST, Series, parse_address
from stepdown.release.ledger.records import Release
from stepdown.release.reading.access import ANYBODY, OUTSIDE
from stepdown.sharing.files.download import Content, Converted, Download
from stepdown.sharing.files.metrics import Metrics
from stepdown.sharing.files.release_files import Shelf
from stepdown.sharing.readers.access_alerts import Watcher
from stepdown.sharing.readers.access_cache import AccessSnapshot, Authority, is_live
from stepdown.sharing.readers.access_log import AccessLog, Sent, Transfer
from stepdown.sharing.readers.authentication import Authenticator
from stepdown.sharing.readers.http_errors import Denied, away, unknown
from stepdown.sharing.readers.oidc import Provider
from stepdown.sharing.readers.principals import Principal
from stepdown.sharing.readers.rate_limits import Volume
from stepdown.sharing.readers.settings import Settings
from stepdown.sharing.readers.signed_urls import Grant, Signer
from stepdown.vocabulary import ReleaseState, Tier
from stepdown.workspace import Workspace

MOST_CONVERSIONS = 16
_GONE = {
    ReleaseState.WITHDRAWN: "RELEASE_WITHDRAWN",
    ReleaseState.SUSPENDED: "RELEASE_SUSPENDED",
    ReleaseState.SUPERSEDED: "RELEASE_SUPERSEDED",
}


@dataclass
class Service:
    """One server's parts.

    Args:
        public_url: how readers reach it, without a slash at the end.
        before_approval: is called with the address of a release before somebody approves it, to
            ask the consent register, which this package cannot; None where nobody can.
        provider: where people sign in with OpenID Connect, if anywhere.
    """

    settings: Settings
    public_url: str
    authority: Authority
    door: Authenticator
    shelf: Shelf
    signer: Signer
    log: AccessLog
    watcher: Watcher
    volume: Volume
    metrics: Metrics
    workspace: Workspace
    provider: Provider | None = None
    before_approval: Callable[[str], None] | None = None
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_CONVERSIONS))
    _running: dict[asyncio.Task[Any], Callable[[], bool]] = field(default_factory=dict)

    def find(self, visitor: Principal, text: str, *, withdrawn: bool = False) -> Release:
        """The release with this address, if it is theirs to have.

        Args:
            withdrawn: a public one that was withdrawn is found too.

        Raises:
            Denied: there is none or it is not theirs, in the same words; or they may know of it,
                and may not have it now.
        """
        picture = self.authority.now()
        release = self._look_up(picture, visitor, text)
        access = picture.access(release, visitor) if release else None
        if release is None or access is None or access.answer == OUTSIDE:
            raise self.not_found(visitor, text)
        is_public = release.tier is Tier.PUBLIC
        if access.allowed or (withdrawn and is_public and release.state is ReleaseState.WITHDRAWN):
            return release
        if release.state in _GONE:
            raise Denied(410, _GONE[release.state], access.answer)
        raise Denied(403, "NOT_NOW", access.answer)

    def not_found(self, visitor: Principal, name: str) -> Denied:
        """The one answer for what is not there or not theirs; the watch counts it."""
        self.watcher.unknown_name(visitor.address, name)
        return unknown()

    def served(self, visitor: Principal) -> list[Release]:
        """Every release that they may have now, oldest first."""
        picture = self.authority.now()
        return [each for each in picture.releases if picture.access(each, visitor).allowed]

    def manifest(self, release: Release) -> dict[str, Any]:
        """The release's manifest.

        Raises:
            Denied: it cannot be had just now.
        """
        with _store_answers():
            return self.shelf.manifest(release)

    def document(self, release: Release) -> dict[str, Any]:
        """The release document.

        Raises:
            Denied: it cannot be had just now.
        """
        with _store_answers():
            return self.shelf.document(release)

    def content(self, visitor: Principal, release: Release, name: str) -> Content:
        """A file of a release.

        Raises:
            Denied: it has none of that name, or it cannot be had just now.
        """
        with _store_answers():
            content = self.shelf.content(release, name)
        if content is None:
            raise self.not_found(visitor, f"{release.address}/{name}")
        return content

    def send(
        self,
        request: Request,
        visitor: Principal,
        release: Release,
        name: str,
        how: str,
        grant: Grant | None = None,
        as_name: str = "",
    ) -> Response:
        """Send a file; what leaves is counted, and stops when it must.

        Args:
            grant: of the signed URL that they came with. as_name: what a browser calls the file.

        Raises:
            Denied: it has no such file, or they have had what a day allows.
        """
        self._still_may(visitor)
        content = self.content(visitor, release, name)
        return Download(
            content,
            request.headers,
            self._headers(release, as_name),
            self._begin(visitor, release, name, how, grant),
            self._may_go_on(visitor, release),
            self.settings.slow_seconds,
        )

    def convert(
        self,
        visitor: Principal,
        release: Release,
        names: Sequence[str],
        convert: Callable[..., Iterator[bytes]],
        media_type: str,
        as_name: str,
        how: str,
    ) -> Response:
        """Send the data files as one of another format, made while it is sent."""
        self._still_may(visitor)
        contents = [self.content(visitor, release, name) for name in names]

        def blocks() -> Generator[bytes]:
            with ExitStack() as stack:
                yield from convert(*(stack.enter_context(each.open()) for each in contents))

        form = as_name.rpartition(".")[2]
        logged = names[0] if len(names) == 1 else "data/*.parquet"
        return Converted(
            blocks,
            media_type,
            self._headers(release, as_name),
            self._begin(visitor, release, f"{logged} as {form}", how, None),
            self._may_go_on(visitor, release),
            self.settings.slow_seconds,
            self._turns,
        )

    def to_stop(self) -> list[asyncio.Task[Any]]:
        """Answers on their way that the newest snapshot no longer allows."""
        return [task for task, may_go_on in list(self._running.items()) if not may_go_on()]

    def _look_up(self, picture: AccessSnapshot, visitor: Principal, text: str) -> Release | None:
        try:
            wanted = parse_address(text)
            series = wanted.series
            if series.tier is Tier.PARTNER and series.recipient is None:
                series = Series(series.dataset, series.tier, visitor.name)  # their own copy
        except InputWrong:
            return None
        versions = [each for each in picture.releases if each.series == series]
        if wanted.version == LATEST:
            live = [each for each in versions if is_live(each)]
            found = live or versions
            return found[-1] if found else None
        return next((each for each in versions if each.version == wanted.version), None)

    def _may_go_on(self, visitor: Principal, release: Release) -> Callable[[], bool]:
        def may() -> bool:
            picture = self.authority.last
            now = next((each for each in picture.releases if each.id == release.id), None)
            if now is None or not picture.access(now, visitor).allowed:
                return False
            token = visitor.token and picture.tokens[visitor.token.id]
            return token is None or not token.problem(clock.now())

        return may

    def _begin(
        self, visitor: Principal, release: Release, name: str, how: str, grant: Grant | None
    ) -> Callable[[], Transfer]:
        sent = Sent(
            release,
            visitor.name or ANYBODY,
            how,
            name,
            visitor.address,
            visitor.client,
            visitor.token.id if visitor.token else "",
            grant.id if grant else "",
        )

        def begin() -> Transfer:
            task = asyncio.current_task()
            assert task is not None
            self._running[task] = self._may_go_on(visitor, release)
            task.add_done_callback(self._running.pop)
            return self.log.begin(sent, lambda count: self._count(visitor, count))

        return begin

    def _count(self, visitor: Principal, count: int) -> None:
        self.volume.add(visitor.key, count)
        self.metrics.bytes.inc(count)

    def _still_may(self, visitor: Principal) -> None:
        if self.log.is_stuck:  # nothing is handed out that nobody would know of
            raise away()
        limits = self.settings.limits
        most = limits.bytes_per_day if visitor.token else limits.anonymous_bytes_per_day
        if visitor.token and visitor.token.terms.bytes_per_day:
            most = visitor.token.terms.bytes_per_day
        if most is not None and self.volume.sent(visitor.key) >= most:
            message = f"{most:,} bytes a day are allowed, and they were sent; come back tomorrow"
            raise Denied(403, "VOLUME_LIMIT", message)

    def _headers(self, release: Release, as_name: str) -> dict[str, str]:
        public = release.tier is Tier.PUBLIC
        headers = {"cache-control": "no-cache" if public else "private, no-store"}
        headers["x-release"] = release.address
        if as_name:
            headers["content-disposition"] = f'attachment; filename="{as_name}"'
        return headers


@contextmanager
def _store_answers() -> Iterator[None]:
    """Answer a store's failures: 404 for a file that is being taken down, 503 for a changed one."""
    try:
        yield
    except FileNotFoundError:
        raise unknown() from None
    except StoreCorrupt:
        raise away() from None


def expired(grant: Grant) -> bool:
    """Whether a grant has ended."""
    return time.time() >= grant.ends
