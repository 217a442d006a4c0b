"""Open what a server needs, run it, and let downloads end when it stops."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Sequence
from types import FrameType

import uvicorn

from stepdown.errors import WorldFailed
from stepdown.release.ledger.chain import check_whole
from stepdown.release.ledger.ledger import open_ledger
from stepdown.release.ledger.store import open_store
from stepdown.release.publishing.recovery import recover
from stepdown.sharing.app import make_app
from stepdown.sharing.files.connections import Protocol, cut_all_off
from stepdown.sharing.files.metrics import Metrics
from stepdown.sharing.files.release_files import Shelf
from stepdown.sharing.readers.access_alerts import Alert, Watcher
from stepdown.sharing.readers.access_cache import Authority
from stepdown.sharing.readers.access_log import AccessLog
from stepdown.sharing.readers.alerts import send_alerts
from stepdown.sharing.readers.authentication import Authenticator
from stepdown.sharing.readers.oidc import CALLBACK, Provider
from stepdown.sharing.readers.rate_limits import Volume
from stepdown.sharing.readers.settings import Settings
from stepdown.sharing.readers.signed_urls import Signer
from stepdown.sharing.service import Service
from stepdown.workspace import Workspace

_BACKLOG = 2048


def serve(
    workspace: Workspace,
    store_url: str,
    settings: Settings,
    ready: Callable[[str], None],
    before_approval: Callable[[str], None] | None = None,
) -> None:
    """Serve until the process is told to stop.

    Args:
        ready: hears the URL once requests are answered.
        before_approval: as for ``Service``.

    Raises:
        WorldFailed: the port is taken, or ledger or store cannot be used.
    """
    listening = _listen(settings)
    port = listening.getsockname()[1]
    url = settings.public_url or f"http://{_in_url(settings.host)}:{port}"
    service = make_service(workspace, store_url, settings, url, before_approval)
    config = uvicorn.Config(
        make_app(service),
        http=Protocol,
        loop="asyncio",
        ws="none",
        lifespan="on",
        interface="asgi3",
        access_log=False,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        limit_concurrency=settings.connections,
        backlog=_BACKLOG,
    )
    server = _Server(config, lambda: ready(url), settings.grace_seconds)
    server.run(sockets=[listening])
    service.authority.close()


def make_service(
    workspace: Workspace,
    store_url: str,
    settings: Settings,
    public_url: str,
    before_approval: Callable[[str], None] | None = None,
) -> Service:
    """Everything that answers requests, after what a killed process left was put right."""
    ledger, store = open_ledger(workspace), open_store(store_url)
    check_whole(ledger)
    recover(workspace, store)
    metrics, watcher, volume = Metrics(), Watcher(settings.watch), Volume()

    def on_alerts(alerts: Sequence[Alert]) -> None:
        for alert in alerts:
            metrics.alerts.labels(alert.rule).inc()
        send_alerts(settings.watch.webhook, alerts)

    log = AccessLog(ledger, workspace.root / "serve", watcher, on_alerts)
    log.recover()
    with ledger.reading() as reader:
        watcher.learn(reader)
        volume.learn(reader)
    metrics.follow("stepdown_downloads_running", "Answers on their way.", lambda: log.running)
    metrics.follow("stepdown_log_waiting", "Lines not in the ledger yet.", lambda: log.waiting)
    authority, signer = Authority(ledger), Signer(workspace.root)
    return Service(
        settings,
        public_url,
        authority,
        Authenticator(settings, public_url, authority, signer, watcher),
        Shelf(store),
        signer,
        log,
        watcher,
        volume,
        metrics,
        workspace,
        Provider(settings.oidc, f"{public_url}{CALLBACK}") if settings.oidc else None,
        before_approval,
    )


class _Server(uvicorn.Server):
    """Says when it answers; at a stop, gives downloads their grace, then cuts them off.

    Uvicorn's own limit would end the application while answers are still being cut off, and their
    bytes would be in no log.
    """

    def __init__(
        self, config: uvicorn.Config, ready: Callable[[], None], grace_seconds: float
    ) -> None:
        super().__init__(config)
        self._ready, self._grace_seconds = ready, grace_seconds

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        ending = asyncio.get_running_loop().call_later(self._grace_seconds, cut_all_off)
        await super().shutdown(sockets)
        ending.cancel()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End; the signal is not raised again after it, as if an orderly end were a kill."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # With the protocol named, asyncio turns off Nagle's algorithm, which would hold back the end of
    # every answer for 40 ms.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
    except OSError as error:
        listening.close()
        raise WorldFailed(
            f"cannot listen there ({error.strerror})",
            where=f"{settings.host}:{settings.port}",
            next="Choose another --port, or stop what uses it.",
        ) from None
    listening.set_inheritable(True)
    return listening


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
