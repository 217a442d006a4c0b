"""Nothing that a suite looks at leaves it: no cell in words or files, no packet to anybody."""

from __future__ import annotations

import importlib
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from sample_candidate import (
    DAY,
    make_sample,
    public_columns,
    raw_columns,
    write_config,
    write_table,
)

import expectations
from stepdown.opened import open_source
from stepdown.reports import Verdict

CANARY = "canary.fitzgerald@example.org"
LONE_CANARY = "Canary Fitzgerald 4711"

RUN = """
import json, socket, sys
sys.path[:0] = {paths!r}

def refuse(*_: object, **__: object) -> None:
    print("A SOCKET WAS OPENED", flush=True)
    raise OSError("no network here")

socket.socket.connect = socket.socket.connect_ex = refuse
socket.getaddrinfo = socket.create_connection = refuse
socket.socket.sendto = refuse
from pathlib import Path
import expectations
import test_expectations_leaks as here
print(json.dumps([v.message for v in here.poisoned(Path({folder!r}))]))
"""


def poisoned(folder: Path) -> list[Verdict]:
    """Verdicts on a public and a raw table that hold the canaries where checks fail or raise."""
    rows = 2_000
    columns = {
        "age": (pa.string(), [LONE_CANARY] + ["[20, 25)"] * (rows - 1)),
        "sex": (pa.string(), ["female"] * (rows - 1) + [LONE_CANARY]),
        "seen": (pa.date32(), [DAY] * rows),
        "result": (pa.string(), [f"{CANARY} {i}" for i in range(rows)]),
    }
    sample = make_sample(folder, columns=columns)
    found = sample.validate()
    raw: dict[str, Any] = raw_columns() | {
        # Texts where numbers are declared make Great Expectations raise, quoting them.
        "age": (pa.string(), [LONE_CANARY] * 24),
        "weight": (pa.string(), [f"{CANARY} {i}" for i in range(24)]),
        "sex": (pa.string(), [LONE_CANARY] * 24),
    }
    snapshot = write_table(folder / "raw.parquet", raw)
    loaded = write_config(folder / "raw")
    with open_source(snapshot, loaded) as source:
        return [*found, *expectations.validate_raw(source)]


def test_no_verdict_log_or_output_holds_a_cell(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    found = poisoned(tmp_path)
    failed = {verdict.check for verdict in found if not verdict.passed}
    assert {
        "generalised_values_are_labels(age)",
        "generalised_values_are_labels(sex)",
        "no_email_address(result)",
        "numbers_are_in_range(age)",
        "weight_is_positive(weight)",
        "values_are_allowed(sex)",
    } <= failed
    out, err = capfd.readouterr()
    told = [repr(found), caplog.text, out, err]
    assert not [text for text in told if "canary" in text.casefold()]


def test_a_run_opens_no_socket_and_leaves_no_cell_on_the_disk(tmp_path: Path) -> None:
    data, home = tmp_path / "data", tmp_path / "home"
    data.mkdir()
    home.mkdir()
    tests = Path(__file__).parents[1]
    paths = [str(path) for path in (tests.parent, tests / "engine", tests / "unit")]
    done = subprocess.run(
        [sys.executable, "-c", RUN.format(paths=paths, folder=str(data))],
        cwd=home,
        env={**os.environ, "HOME": str(home), "TMPDIR": str(home), "GX_ANALYTICS_ENABLED": "true"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "A SOCKET WAS OPENED" not in done.stdout
    assert json.loads(done.stdout)
    assert "canary" not in (done.stdout + done.stderr).casefold()
    left = [path for folder in (home, data / "scratch") for path in folder.rglob("*")]
    assert not [p for p in left if p.is_file() and b"canary" in p.read_bytes().lower()]


def test_the_package_is_imported_without_great_expectations() -> None:
    code = (
        "import sys, expectations, expectations.checks, expectations.sentences\n"
        "heavy = {'great_expectations', 'pandas', 'duckdb'} & set(sys.modules)\n"
        "assert not heavy - {'duckdb'}, heavy\n"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True, timeout=120)


def test_telemetry_is_switched_off_before_great_expectations_is_imported() -> None:
    code = (
        "import os; os.environ['GX_ANALYTICS_ENABLED'] = 'true'\n"
        "import expectations.gx\n"
        "assert os.environ['GX_ANALYTICS_ENABLED'] == 'false'\n"
        "import great_expectations as gx\n"
        "assert not gx.get_context(mode='ephemeral').variables.analytics_enabled\n"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True, timeout=120)


def test_results_are_asked_for_as_yes_or_no_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    importlib.import_module("expectations.gx")  # quietly: great_expectations warns on import
    from great_expectations.datasource.fluent.interfaces import Batch

    asked: list[object] = []
    validate = Batch.validate

    def spy(self: Batch, expect: Any, **options: Any) -> Any:
        asked.append(options)
        result = validate(self, expect, **options)
        assert all(not each.result for each in result.results)
        return result

    monkeypatch.setattr(Batch, "validate", spy)
    sample = make_sample(tmp_path, columns=public_columns())
    sample.validate()
    assert asked
    assert all(options == {"result_format": "BOOLEAN_ONLY"} for options in asked)


def test_the_log_of_great_expectations_goes_nowhere(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    importlib.import_module("expectations.gx").mute()
    caplog.set_level(logging.DEBUG)
    names = [n for n in logging.root.manager.loggerDict if n.startswith("great_expectations")]
    assert len(names) > 10
    for name in [*names, "great_expectations.imported_later"]:
        logging.getLogger(name).error("a cell")
    assert caplog.text == ""
    assert capfd.readouterr().err == ""
