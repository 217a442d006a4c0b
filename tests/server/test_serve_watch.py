"""Alerts, limits, and whose word about an address counts."""

from __future__ import annotations

import datetime as dt
import json
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from attacked_case import Attacked, attacked, body, head, status, until
from release_case import Case
from served_case import publish_all

from stepdown.release.ledger.records import EventKind
from stepdown.sharing.readers.access_alerts import Watcher
from stepdown.sharing.readers.rate_limits import Rate
from stepdown.sharing.readers.settings import Watch

PROTOCOL = "/delta-sharing/shares"
PUBLIC = "/releases/wells/public/v1/data.parquet"
CLINIC = "/releases/wells/partner/clinic/v1/data.parquet"
TRUSTED = {"STEPDOWN_SERVE_TRUSTED_PROXIES": "127.0.0.1/32"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("watched")


@pytest.fixture(scope="module")
def case(folder: Path) -> Case:
    case = Case(folder / "case")
    publish_all(case)
    return case


@pytest.fixture(scope="module")
def heard() -> Iterator[tuple[str, list[str]]]:
    """A webhook: its URL, and every message that reached it."""
    messages: list[str] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            messages.append(self.rfile.read(int(self.headers["content-length"])).decode())
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"json://127.0.0.1:{server.server_port}/", messages
        server.shutdown()


@pytest.fixture(scope="module")
def served(case: Case, folder: Path, heard: tuple[str, list[str]]) -> Iterator[Attacked]:
    hour = dt.datetime.now(dt.UTC).hour
    watch = {
        "HOURS": f"{(hour + 3) % 24:02}:00-{(hour + 4) % 24:02}:00",
        "UNKNOWN_NAMES": "5",
        "FAILED_TOKENS": "4",
        "WEBHOOK": heard[0],
    }
    named = {f"STEPDOWN_SERVE_WATCH__{key}": value for key, value in watch.items()}
    with attacked(case, folder, **named, **TRUSTED) as served:
        yield served
    served.check()


def alerts(case: Case) -> Counter[tuple[str, str]]:
    """How often each rule was raised about each subject, as the ledger says."""
    with case.ledger.reading() as reader:
        lines = [line["facts"] for line in reader.lines(EventKind.ALERT)]
    return Counter((facts["rule"], facts["subject"]) for facts in lines)


def told(heard: tuple[str, list[str]], rule: str) -> int:
    return sum(message.count(f" {rule}:") for message in heard[1])


def assert_one(served: Attacked, heard: tuple[str, list[str]], rule: str, subject: str) -> None:
    """The ledger and the webhook have it once, also a while later."""
    until(lambda: told(heard, rule))
    until(lambda: alerts(served.case)[rule, subject])
    served.ask(PUBLIC)
    until(lambda: not list((served.case.root / "work/serve").glob(".*")))
    assert (alerts(served.case)[rule, subject], told(heard, rule)) == (1, 1)


def test_many_wrong_tokens_raise_one_alert(served: Attacked, heard: tuple[str, list[str]]) -> None:
    for number in range(12):
        answer = served.ask(
            PROTOCOL, f"Authorization: Bearer wrong.{number}", "X-Forwarded-For: 192.0.2.1"
        )
        assert status(answer) == 401
    assert_one(served, heard, "failed tokens", "192.0.2.1")


def test_many_unknown_names_raise_one_alert(served: Attacked, heard: tuple[str, list[str]]) -> None:
    for _ in range(20):  # one name, again and again
        served.ask(f"{PROTOCOL}/same", "X-Forwarded-For: 192.0.2.2")
    for number in range(12):
        for target in (f"{PROTOCOL}/n{number}", f"/releases/wells/public/v1/n{number}"):
            assert status(served.ask(target, "X-Forwarded-For: 192.0.2.3")) == 404
    assert_one(served, heard, "unknown names", "192.0.2.3")
    assert not alerts(served.case)["unknown names", "192.0.2.2"]


def test_a_token_that_ended_raises_one_alert(
    served: Attacked, heard: tuple[str, list[str]]
) -> None:
    _, secret = served.token("clinic", expires_at="2026-01-01T00:00:00+00:00")
    for _ in range(3):
        assert status(served.ask(CLINIC, f"Authorization: Bearer {secret}")) == 401
    assert_one(served, heard, "after expiry", "clinic")


def test_an_unusual_hour_and_a_new_network_raise_one_alert_each(
    served: Attacked, heard: tuple[str, list[str]]
) -> None:
    bearer = f"Authorization: Bearer {served.token('clinic')[1]}"
    for address in ("198.51.100.7", "198.51.100.99"):  # the first network is no news
        assert status(served.ask(CLINIC, bearer, f"X-Forwarded-For: {address}")) == 200
    assert_one(served, heard, "hours", "clinic")
    assert not alerts(served.case)["new network", "clinic"]
    for address in ("203.0.113.9", "203.0.113.10", "2001:db8::1"):
        assert status(served.ask(CLINIC, bearer, f"X-Forwarded-For: {address}")) == 200
    assert_one(served, heard, "new network", "clinic")


def test_a_server_that_starts_again_does_not_repeat_itself(
    case: Case, folder: Path, served: Attacked, heard: tuple[str, list[str]]
) -> None:
    before = alerts(case)
    assert before["after expiry", "clinic"] == 1
    with attacked(case, folder, STEPDOWN_SERVE_WATCH__WEBHOOK=heard[0], **TRUSTED) as again:
        _, secret = again.token("clinic", expires_at="2026-01-01T00:00:00+00:00")
        assert status(again.ask(CLINIC, f"Authorization: Bearer {secret}")) == 401
    assert alerts(case) == before


def test_one_asks_as_often_as_is_allowed(served: Attacked) -> None:
    bearer = f"Authorization: Bearer {served.token('clinic', requests_per_minute=5)[1]}"
    other = f"Authorization: Bearer {served.token('clinic')[1]}"
    answers = [served.ask(CLINIC, bearer) for _ in range(9)]
    assert [status(answer) for answer in answers[:5]] == [200] * 5
    assert status(answers[-1]) == 429
    assert 1 <= int(head(answers[-1])["retry-after"]) <= 13
    assert json.loads(body(answers[-1]))["errorCode"] == "TOO_MANY_REQUESTS"
    assert status(served.ask(CLINIC, other)) == 200


def test_guessing_tokens_has_its_own_limit(served: Attacked) -> None:
    source = "X-Forwarded-For: 192.0.2.50"
    answers = [served.ask(PROTOCOL, "Authorization: Bearer no.x", source) for _ in range(45)]
    assert status(answers[0]) == 401
    assert status(answers[-1]) == 429
    assert "retry-after" in head(answers[-1])
    bearer = f"Authorization: Bearer {served.token('clinic')[1]}"
    assert status(served.ask(CLINIC, bearer, source)) == 200


def test_strangers_ask_as_often_as_is_allowed(case: Case, folder: Path) -> None:
    few = {"STEPDOWN_SERVE_LIMITS__REQUESTS_PER_MINUTE": "4"}
    with attacked(case, folder, **few) as server:
        statuses = [status(server.ask(f"{PROTOCOL}/x", f"X-Forwarded-For: 10.0.0.{n}"))
                    for n in range(9)]  # fmt: skip
        assert (statuses[:4], statuses[-1]) == ([404] * 4, 429)


def test_a_signed_url_is_counted_with_its_token_and_not_with_its_address(
    case: Case, folder: Path
) -> None:
    few = {"STEPDOWN_SERVE_LIMITS__REQUESTS_PER_MINUTE": "4"}
    with attacked(case, folder, **few) as server:
        with server.client("clinic", requests_per_minute=12) as client:
            url = server.signed_url(client, "clinic")
        statuses = [status(server.ask(url)) for _ in range(15)]
        assert (statuses[:11], statuses[-1]) == ([200] * 11, 429)
        assert status(server.ask(PROTOCOL)) == 200


def test_one_takes_as_much_as_is_allowed_also_after_a_restart(case: Case, folder: Path) -> None:
    few = {"STEPDOWN_SERVE_LIMITS__ANONYMOUS_BYTES_PER_DAY": "100000"}
    size = (case.root / "store/wells/public/v1/data/part-00000.parquet").stat().st_size
    with attacked(case, folder, **few) as server:
        terms = server.token("clinic", bytes_per_day=size)
        bearer = f"Authorization: Bearer {terms[1]}"
        assert status(server.ask(CLINIC, bearer)) == 200
        denied = server.ask(CLINIC, bearer)
        assert (status(denied), json.loads(body(denied))["errorCode"]) == (403, "VOLUME_LIMIT")
        allowed = 0
        while status(server.ask(PUBLIC)) == 200:
            allowed += size
        assert allowed < 100_000 + size
        assert status(server.ask(PROTOCOL)) == 200
    with attacked(case, folder, **few) as again:
        assert status(again.ask(CLINIC, bearer)) == 403
        assert status(again.ask(PUBLIC)) == 403
    again.check()


@pytest.mark.parametrize(
    ("forwarded", "allowed"),
    [
        (["10.0.0.1"], True),
        (["192.0.2.7, 10.0.0.1"], True),
        (["10.0.0.1, 127.0.0.1"], True),
        (["192.0.2.7", "10.0.0.1"], True),
        (["10.0.0.1, 192.0.2.7"], False),
        (["10.0.0.1", "192.0.2.7"], False),
        (["10.0.0.1, unknown"], False),
        (["10.0.0.1:8080"], False),
        (["\xff10.0.0.1"], False),
        (["," * 5000], False),
        ([], False),
    ],
)
def test_only_what_a_trusted_proxy_saw_is_believed(
    served: Attacked, forwarded: list[str], allowed: bool
) -> None:
    bearer = f"Authorization: Bearer {served.token('clinic', networks=('10.0.0.0/8',))[1]}"
    headers = [f"X-Forwarded-For: {each}" for each in forwarded]
    assert status(served.ask(CLINIC, bearer, *headers)) == (200 if allowed else 401)


def test_without_a_trusted_proxy_nobody_is_believed(case: Case, folder: Path) -> None:
    with attacked(case, folder) as server:
        bearer = f"Authorization: Bearer {server.token('clinic', networks=('10.0.0.0/8',))[1]}"
        for name in ("X-Forwarded-For", "X-Real-IP", "Forwarded", "True-Client-IP"):
            for value in ("10.0.0.1", "for=10.0.0.1"):
                assert status(server.ask(CLINIC, bearer, f"{name}: {value}")) == 401
    server.check()


def test_more_than_ever_before_raises_one_alert(case: Case, folder: Path) -> None:
    tomorrow = (dt.datetime.now(dt.UTC) + dt.timedelta(days=1)).isoformat(timespec="seconds")
    first = f"from stepdown import clock; clock.now = lambda: {tomorrow!r}"
    loose = {"STEPDOWN_SERVE_WATCH__VOLUME_FLOOR_BYTES": "100",
             "STEPDOWN_SERVE_WATCH__VOLUME_FACTOR": "1.5"}  # fmt: skip
    with attacked(case, folder, **loose) as server:
        _, secret = server.token("clinic")
        bearer = f"Authorization: Bearer {secret}"
        assert status(server.ask(CLINIC, bearer)) == 200
    size = (case.root / "store/wells/partner/clinic/v1/data/part-00000.parquet").stat().st_size
    before = alerts(case)
    assert not before["volume", "clinic"]
    with attacked(case, folder, first=first, **loose) as server:
        most = max(sent_of(case, "clinic").values())
        for _ in range(int(1.5 * most / size) + 3):
            assert status(server.ask(CLINIC, bearer)) == 200
        until(lambda: alerts(case)["volume", "clinic"])
    assert alerts(case)["volume", "clinic"] == 1
    server.check()


def sent_of(case: Case, who: str) -> Counter[str]:
    """Day → bytes."""
    days: Counter[str] = Counter()
    with case.ledger.reading() as reader:
        for line in reader.lines(EventKind.ACCESS):
            if line["facts"]["who"] == who:
                days[line["at"][:10]] += line["facts"]["bytes"]
    return days


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads that give way to each other at every step."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def in_threads(work: Callable[[], None]) -> list[BaseException]:
    """Do it in eight threads at once; what they raised."""
    raised: list[BaseException] = []

    def caught() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=caught) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


@pytest.mark.usefixtures("hasty")
def test_a_crowd_gets_no_more_than_its_limit() -> None:
    rate = Rate()
    allowed: list[float] = []

    def work() -> None:
        for _ in range(2000):
            if not rate.wait_seconds("one", 100):
                allowed.append(0.0)

    assert not in_threads(work)
    assert len(allowed) <= 110  # a hundred, and what a second or two fill up


@pytest.mark.usefixtures("hasty")
def test_a_crowd_at_once_raises_one_alert_and_no_error() -> None:
    watcher = Watcher(Watch(unknown_names=20, failed_tokens=20))
    names = iter(range(10**9))

    def work() -> None:
        for _ in range(1500):
            watcher.unknown_name("192.0.2.1", str(next(names)))
            watcher.failed_token("192.0.2.1")

    assert not in_threads(work)
    assert Counter(each.rule for each in watcher.raised()) == {
        "unknown names": 1,
        "failed tokens": 1,
    }
