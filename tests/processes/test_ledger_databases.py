"""What must hold of the ledger in SQLite and in PostgreSQL alike, and what fails in each."""

from __future__ import annotations

import logging
import sqlite3
import stat
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from postgres_case import SECRET, plain_url, postgres
from release_case import Case

from stepdown import clock
from stepdown.errors import InputWrong, TransientError, WorldFailed
from stepdown.release.decisions.withdraw import withdraw
from stepdown.release.ledger import database, locks
from stepdown.release.ledger.addresses import Series
from stepdown.release.ledger.chain import verify_chain
from stepdown.release.ledger.ledger import existing_ledger, open_ledger, record_run
from stepdown.release.ledger.locks import exclusively
from stepdown.release.ledger.records import EventKind
from stepdown.release.reading.access import EDITED, OUTSIDE, may_read
from stepdown.vocabulary import ReleaseState, Tier
from stepdown.workspace import Workspace, open_workspace

SERIES = Series("wells", Tier.INTERNAL)
UNLOCK = {
    "sqlite": ("DROP TRIGGER events_no_update", "DROP TRIGGER events_no_delete"),
    "postgresql": ("ALTER TABLE events DISABLE TRIGGER events_no_change",),
}
LOCK = {
    # As they were, so that what is found is found in the lines.
    "sqlite": (
        "CREATE TRIGGER events_no_update BEFORE UPDATE ON events BEGIN SELECT 1; END",
        "CREATE TRIGGER events_no_delete BEFORE DELETE ON events BEGIN SELECT 1; END",
    ),
    "postgresql": ("ALTER TABLE events ENABLE TRIGGER events_no_change",),
}


@dataclass
class Place:
    """A case whose ledger lies in one of the databases."""

    name: str
    url: str
    case: Case

    def execute(self, *statements: str, role: str = "") -> None:
        """What somebody with a database's own tools does."""
        if self.name == "sqlite":
            with closing(sqlite3.connect(self.case.workspace.root / "ledger.db")) as plain, plain:
                for statement in statements:
                    plain.execute(statement)
            return
        url = plain_url(self.url).replace("steward:", f"{role or 'steward'}:")
        with psycopg.connect(url) as connection:
            for statement in statements:
                connection.execute(statement)  # type: ignore[call-overload]

    def tamper(self, *statements: str) -> None:
        """Change lines past the triggers, and leave the triggers as if nothing had been."""
        self.execute(*UNLOCK[self.name], *statements, *LOCK[self.name])

    def refused(self) -> tuple[type[Exception], ...]:
        return (sqlite3.DatabaseError, psycopg.DatabaseError)


@pytest.fixture(scope="module")
def server() -> Iterator[Callable[[], str]]:
    with postgres() as new_database:
        yield new_database


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    url = ""
    if request.param == "postgresql":
        url = request.getfixturevalue("server")()
        monkeypatch.setenv("STEPDOWN_LEDGER", url)
    return Place(request.param, url, Case(tmp_path))


@pytest.fixture
def shared(server: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """PostgreSQL alone."""
    url = server()
    monkeypatch.setenv("STEPDOWN_LEDGER", url)
    return Place("postgresql", url, Case(tmp_path))


def test_a_release_is_signed_published_and_withdrawn(place: Place) -> None:
    case = place.case
    case.submit(Tier.INTERNAL)
    assert case.submit(Tier.PARTNER, parent="wells/internal/v1").outcome == "waiting"
    assert case.approve("wells/partner/v1").outcome == "published"
    withdraw(case.workspace, case.store, "wells/internal/v1", reason="a slip", actor="tester")
    assert case.state("wells/partner/v1") is ReleaseState.SUSPENDED
    assert verify_chain(case.ledger) == ()
    assert (case.workspace.root / "ledger.db").exists() == (place.name == "sqlite")


def test_the_number_of_a_candidate_that_lapsed_goes_to_the_next_one(place: Place) -> None:
    case = place.case
    case.submit(Tier.INTERNAL)
    for age in ("[20, 25)", "[25, 30)", "[20, 25)"):
        case.submit(Tier.PARTNER, parent="wells/internal/v1", age=age)
    case.reject("wells/partner/v1", "no")
    case.submit(Tier.PARTNER, parent="wells/internal/v1", age="[25, 30)")
    assert case.approve("wells/partner/v1").outcome == "published"
    with case.ledger.reading() as reader:
        rows = [r for r in reader.releases() if r.tier is Tier.PARTNER]
        lapsed, (live,) = rows[:-1], rows[-1:]
        assert [r.state.value for r in lapsed] == ["expired", "expired", "rejected"]
        assert {r.version for r in lapsed} == {None}
        assert (live.version, live.candidate) == ("v1", 4)
    assert verify_chain(case.ledger) == ()


LINE = (
    "INSERT {} INTO events SELECT {}, at, kind, dataset, tier, recipient, version, 'somebody else',"
    " facts, previous_hash, {} FROM events WHERE seq = 2 {}"
)


REFUSED = {
    "sqlite": [
        LINE.format("OR REPLACE", "seq", "hash", ""),
        LINE.format("OR REPLACE", "seq", "'x'", ""),
        LINE.format("OR REPLACE", "99", "hash", ""),
    ],
    "postgresql": [
        "TRUNCATE events",
        LINE.format("", "seq", "hash", "ON CONFLICT (seq) DO UPDATE SET actor = 'x'"),
    ],
}


def test_the_database_itself_refuses_to_change_a_line(place: Place) -> None:
    place.case.submit(Tier.INTERNAL)
    everywhere = ["UPDATE events SET actor = 'x'", "DELETE FROM events WHERE seq = 1"]
    for statement in everywhere + REFUSED[place.name]:
        with pytest.raises(place.refused(), match="append-only"):
            place.execute(statement)
    assert verify_chain(place.case.ledger) == ()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE events SET actor = 'somebody else' WHERE seq = 2", "line 2 was changed"),
        ("UPDATE events SET facts = '{}' WHERE seq = 1", "line 1 was changed"),
        ("UPDATE events SET facts = '{\"a\": NaN}' WHERE seq = 1", "line 1 was changed"),
        ("UPDATE events SET facts = 'not JSON' WHERE seq = 1", "line 1 was changed"),
        ("UPDATE events SET actor = x'ff00' WHERE seq = 1", "line 1 was changed"),
        ("UPDATE events SET at = '2001-01-01T00:00:00+00:00' WHERE seq = 2", "line 2 is older"),
        ("DELETE FROM events WHERE seq = 2", "line 3 does not follow"),
        ("DELETE FROM events WHERE seq = 1", "line 2 does not follow"),
        ("DELETE FROM events WHERE seq = 4", "wells/internal/v1 is published, and no line says so"),
        ("UPDATE events SET seq = 9 WHERE seq = 2", "line 9 does not follow"),
        ("DELETE FROM events", "wells/internal/v1 is published, and no line says so"),
        ("UPDATE releases SET state = 'superseded'", "is superseded, and no line says so"),
        ("UPDATE releases SET state = 'gone'", "cannot be read"),
        ("UPDATE releases SET manifest_sha256 = 'x'", "other hashes, signatures or terms"),
        ("UPDATE releases SET terms = '{}'", "other hashes, signatures or terms"),
        ("UPDATE releases SET approvals = 'null'", "other hashes, signatures or terms"),
        ("UPDATE releases SET parent = 7", "other hashes, signatures or terms"),
        ("UPDATE releases SET version = 'v7'", "wells/internal/v1 has no row"),
        ("DELETE FROM releases", "wells/internal/v1 has no row"),
    ],
)
def test_whoever_gets_past_the_triggers_is_found_out(place: Place, change: str, told: str) -> None:
    place.case.submit(Tier.INTERNAL)
    if place.name == "postgresql" and any(word in change for word in ("NaN", "not JSON")):
        with pytest.raises(place.refused()):  # its types do not take it
            place.tamper(change)
        return
    place.tamper(change)
    assert told in "\n".join(verify_chain(place.case.ledger))


def test_a_name_that_stands_twice_in_a_line_is_a_change(place: Place) -> None:
    place.case.submit(Tier.INTERNAL)
    # Whoever reads the second name reads what was hashed; whoever reads the first does not.
    place.tamper(
        "UPDATE events SET facts = replace(CAST(facts AS TEXT), '{', '{\"name\": 1, ')"
        + ("::json" if place.name == "postgresql" else "")
        + " WHERE seq = 2"
    )
    assert "line 2 was changed after it was written" in verify_chain(place.case.ledger)


def test_a_trigger_that_is_gone_is_told_before_anything_is_changed(place: Place) -> None:
    place.case.submit(Tier.INTERNAL)
    place.execute(*UNLOCK[place.name])
    gone = verify_chain(place.case.ledger)
    assert len(gone) == len(UNLOCK[place.name])
    assert all("keeps lines from being changed, is missing" in problem for problem in gone)


def test_an_edited_row_is_not_made_good_by_the_next_honest_change(place: Place) -> None:
    case = place.case
    case.submit(Tier.INTERNAL)
    place.execute("UPDATE releases SET note = 'x'")
    withdraw(case.workspace, case.store, "wells/internal/v1", reason="a slip", actor="tester")
    assert case.state("wells/internal/v1") is ReleaseState.WITHDRAWN
    assert verify_chain(case.ledger) == (
        "wells/internal/v1 has other hashes, signatures or terms than its lines say",
    )


def test_what_was_suspended_is_not_handed_out_because_somebody_wrote_published_over_it(
    place: Place,
) -> None:
    case, day = place.case, clock.today()
    case.submit(Tier.INTERNAL)
    with case.ledger.writing() as writer:
        release = writer.releases()[0]
        assert may_read(writer, None, release.address, "", day).reason != EDITED
        writer.move(release, ReleaseState.SUSPENDED, EventKind.SUSPENDED, "Ann")
    place.execute("UPDATE releases SET state = 'published'")
    with case.ledger.reading() as reader:
        found = may_read(reader, None, "wells/internal/v1", "", day)
    assert (found.allowed, found.reason, found.answer) == (False, EDITED, OUTSIDE)


def test_a_failure_within_a_transaction_leaves_neither_row_nor_line(place: Place) -> None:
    case = place.case
    case.submit(Tier.INTERNAL)
    with case.ledger.reading() as reader:
        before = reader.events(), reader.releases()
    with suppress(ZeroDivisionError), case.ledger.writing() as writer:
        release = writer.releases()[0]
        writer.move(release, ReleaseState.WITHDRAWN, EventKind.WITHDRAWN, "Ann")
        _ = 1 / 0
    with case.ledger.reading() as reader:
        assert (reader.events(), reader.releases()) == before


def test_lines_of_many_writers_at_once_form_one_chain(place: Place) -> None:
    ledger = place.case.ledger
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: record_run(ledger, SERIES, f"r{n}", "Ann", {}), range(40)))
    with ledger.reading() as reader:
        assert sorted(line["facts"]["run"] for line in reader.events()) == sorted(
            f"r{n}" for n in range(40)
        )
    assert verify_chain(ledger) == ()


def test_a_reader_sees_one_moment_while_another_writes(place: Place) -> None:
    ledger = place.case.ledger
    record_run(ledger, SERIES, "first", "Ann", {})
    with ThreadPoolExecutor(1) as pool:
        with ledger.reading() as reader:
            before = reader.events()
            # PostgreSQL lets it pass; SQLite keeps it waiting until the reader has gone.
            writing = pool.submit(record_run, ledger, SERIES, "second", "Ann", {})
            with suppress(TimeoutError):
                writing.result(timeout=0.5)
            assert reader.events() == before
        writing.result(timeout=30)
    with ledger.reading() as reader:
        assert len(reader.events()) == 2


def test_facts_come_back_as_they_were_hashed(place: Place) -> None:
    facts = {
        "by number": {2: "b", 10: "a"},
        "pair": (1, 2.5),
        "text": 'Zoë \u2028 ‘x’ \\ " 𝕏',
        "large": 2**60,
        "small": -0.0,
        "share": 0.1 + 0.2,
        "none": None,
    }
    record_run(place.case.ledger, SERIES, "r", "Zoë", facts)
    assert verify_chain(place.case.ledger) == ()
    with pytest.raises(ValueError, match="JSON"):
        record_run(place.case.ledger, SERIES, "r", "Zoë", {"share": float("nan")})


def test_whoever_holds_the_ledger_too_long_is_told_of_as_transient(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 1)
    ledger = place.case.ledger
    with ledger.writing(), pytest.raises(TransientError, match="locked by another process"):
        record_run(ledger, SERIES, "r", "Ann", {})


def test_a_look_at_the_ledger_waits_for_no_writer(
    shared: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = shared.case.ledger
    monkeypatch.setattr(database, "BUSY_SECONDS", 1)
    with ledger.writing() as writer:
        writer.append(EventKind.RUN, SERIES, None, "Ann", {})
        assert verify_chain(existing_ledger(shared.case.workspace)) == ()


def test_a_look_makes_no_ledger_and_changes_none(place: Place, tmp_path: Path) -> None:
    case = place.case
    with pytest.raises(InputWrong, match="there is no ledger here"):
        existing_ledger(Workspace(tmp_path / "mistyped"))
    assert not (tmp_path / "mistyped").exists()
    case.submit(Tier.INTERNAL)
    before = sorted(
        (path, path.stat().st_mtime_ns, path.read_bytes())
        for path in case.workspace.root.rglob("*")
        if path.is_file()
    )
    assert verify_chain(existing_ledger(case.workspace)) == ()
    after = sorted(
        (path, path.stat().st_mtime_ns, path.read_bytes())
        for path in case.workspace.root.rglob("*")
        if path.is_file()
    )
    assert after == before


def test_workspaces_of_one_ledger_decide_one_at_a_time(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if place.name == "sqlite":
        monkeypatch.setenv("STEPDOWN_LEDGER", f"sqlite:///{tmp_path / 'shared.db'}")
    other = open_workspace(tmp_path / "other", str(tmp_path / "store"))
    monkeypatch.setattr(locks, "PATIENCE_SECONDS", 0.0)
    with (
        exclusively(place.case.workspace),
        pytest.raises(TransientError, match="another process has been deciding"),
        exclusively(other),
    ):
        pass
    with exclusively(other):
        pass


# Roles of PostgreSQL -----------------------------------------------------------------------------

GRANTS = (
    "CREATE ROLE {0} LOGIN",
    "GRANT SELECT, INSERT ON events TO {0}",
    "GRANT SELECT, INSERT, UPDATE ON releases TO {0}",
    "GRANT USAGE ON SEQUENCE releases_id_seq TO {0}",
)
"""What docs/governance.md says."""


def as_role(shared: Place, monkeypatch: pytest.MonkeyPatch, role: str) -> None:
    monkeypatch.setenv("STEPDOWN_LEDGER", shared.url.replace("steward:", f"{role}:"))


def test_a_role_that_may_only_add_lines_releases_and_cannot_change_one(
    shared: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = shared.case
    open_ledger(case.workspace)
    shared.execute(*(statement.format("releaser") for statement in GRANTS))
    as_role(shared, monkeypatch, "releaser")
    case.submit(Tier.INTERNAL)
    case.submit(Tier.PARTNER, parent="wells/internal/v1")
    assert case.approve("wells/partner/v1").outcome == "published"
    withdraw(case.workspace, case.store, "wells/internal/v1", reason="a slip", actor="tester")
    for statement in (
        "UPDATE events SET actor = 'x'",
        "DELETE FROM events",
        "TRUNCATE events",
        "DELETE FROM releases",
        "DROP TRIGGER events_no_change ON events",
        "ALTER TABLE events DISABLE TRIGGER events_no_change",
        "CREATE OR REPLACE FUNCTION events_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RETURN NULL; END $$",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            shared.execute(statement, role="releaser")
    assert verify_chain(case.ledger) == ()


def test_a_role_that_may_only_read_verifies_and_writes_nothing(
    shared: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared.case.submit(Tier.INTERNAL)
    shared.execute("CREATE ROLE auditor LOGIN", "GRANT SELECT ON events, releases TO auditor")
    as_role(shared, monkeypatch, "auditor")
    ledger = existing_ledger(shared.case.workspace)
    assert verify_chain(ledger) == ()
    with pytest.raises(WorldFailed, match="does not let this role"):
        record_run(ledger, SERIES, "r", "Ann", {})


def test_a_standby_is_told_apart_from_damage(shared: Place) -> None:
    ledger = shared.case.ledger
    name = shared.url.rpartition("/")[2]
    shared.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    with pytest.raises(WorldFailed, match="takes no writes"):
        record_run(ledger, SERIES, "r", "Ann", {})
    assert verify_chain(existing_ledger(shared.case.workspace)) == ()


def test_a_server_that_ends_the_connection_leaves_neither_row_nor_line(shared: Place) -> None:
    case = shared.case
    case.submit(Tier.INTERNAL)

    def interrupted() -> None:
        with case.ledger.writing() as writer:
            writer.append(EventKind.RUN, SERIES, None, "Ann", {})
            shared.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            writer.append(EventKind.RUN, SERIES, None, "Ann", {})

    with pytest.raises(WorldFailed, match="went away"):
        interrupted()
    assert verify_chain(case.ledger) == ()
    with case.ledger.reading() as reader:
        assert [line["kind"] for line in reader.events()][-1] == "published"


# Databases that cannot be used -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "kind", "told"),
    [
        ("postgresql+psycopg://steward:{}@127.0.0.1:1/x", WorldFailed, "cannot be opened"),
        ("postgresql+psycopg://steward:{}@no-host.invalid/x", WorldFailed, "cannot be opened"),
        ("mysql://steward:{}@127.0.0.1/x", InputWrong, "not the URL"),
        ("postgresql://steward:{}@127.0.0.1/x", InputWrong, "not the URL"),
        ("{}", InputWrong, "not the URL"),
        ("", InputWrong, "not the URL"),
        ("postgresql+psycopg://steward:a@{}:b@h/x", InputWrong, "not spelled as a URL"),
        ("postgresql+psycopg://steward:/{}@127.0.0.1/x", WorldFailed, "cannot be opened"),
        ("postgresql+psycopg://steward:p@h:{}/x", InputWrong, "not spelled as a URL"),
        ("postgresql+psycopg:steward:{}", InputWrong, "not spelled as a URL"),
        ("postgresql+psycopg://steward:p@127.0.0.1:1/x?{}=1", InputWrong, "an option"),
        ("sqlite://", InputWrong, "names no file"),
        ("sqlite:///:memory:", InputWrong, "names no file"),
        ("sqlite:///nowhere/at/all.db", WorldFailed, "cannot be opened"),
    ],
)
def test_a_database_that_cannot_be_used_is_told_without_its_password(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    url: str,
    kind: type[Exception],
    told: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STEPDOWN_LEDGER", url.format(SECRET))
    workspace = open_workspace(tmp_path / "work", str(tmp_path / "store"))
    for call in (open_ledger, existing_ledger):
        if call is existing_ledger and "nowhere" in url:
            continue  # it says that nothing is there
        with pytest.raises(kind, match=told) as caught:
            call(workspace)
        told_in_full = "".join(traceback.format_exception(caught.value))
        assert SECRET not in told_in_full + caplog.text
        assert not isinstance(caught.value, TransientError)
    with pytest.raises((InputWrong, WorldFailed)) as caught, exclusively(workspace):
        open_ledger(workspace)
    assert SECRET not in str(caught.value)


def test_a_wrong_password_is_told_without_it(
    server: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEPDOWN_LEDGER", server().replace("steward:", "nobody-of-that-name:"))
    with pytest.raises(WorldFailed, match="cannot be opened") as caught:
        open_ledger(open_workspace(tmp_path / "work", str(tmp_path / "store")))
    assert SECRET not in str(caught.value)


def test_a_sqlite_ledger_is_its_owners_alone(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.submit(Tier.INTERNAL)
    assert stat.S_IMODE(case.workspace.root.stat().st_mode) == 0o700


def test_two_workspaces_share_one_ledger_and_number_their_versions_after_each_other(
    shared: Place, tmp_path: Path
) -> None:
    here, there = shared.case, Case(tmp_path)
    there.workspace = open_workspace(tmp_path / "other", str(tmp_path / "store"))
    assert here.submit(Tier.INTERNAL).release == "wells/internal/v1"
    (there.workspace.root / "publisher.key").write_bytes(
        (here.workspace.root / "publisher.key").read_bytes()
    )
    (there.workspace.root / "publisher.key").chmod(0o600)
    assert there.submit(Tier.INTERNAL, age="[25, 30)").release == "wells/internal/v2"
    assert verify_chain(here.ledger) == ()
