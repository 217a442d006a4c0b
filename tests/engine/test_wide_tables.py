"""Tables with very many columns: they work, or are refused before any work with the number."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from stepdown.anonymise.lattice.models import PrivacyModels
from stepdown.anonymise.tables.file import anonymise_file
from stepdown.config import load_config
from stepdown.engine import open_session
from stepdown.errors import ConfigInvalid
from stepdown.risk.file import assess_file

ADDRESS_SPACE = 4 << 30


def wide(folder: Path, columns: int) -> Path:
    """300 rows of two values each, in no pattern."""
    path = folder / "wide.csv"
    rows = (
        ",".join("ab"[(i * i + i * j + j // 3) % 7 % 2] for j in range(columns)) for i in range(300)
    )
    path.write_text("\n".join([",".join(f"q{j}" for j in range(columns)), *rows]) + "\n")
    return path


@pytest.mark.parametrize("recoding", ["full-domain", "local"])
@pytest.mark.parametrize("columns", [65, 200, 600])
def test_too_many_quasi_identifiers_are_refused_before_the_file_is_read(
    tmp_path, columns, recoding
):
    names = [f"q{j}" for j in range(columns)]
    options = {"output": tmp_path / "out.csv", "recoding": recoding}
    with pytest.raises(ConfigInvalid, match=f"{columns} quasi-identifiers .* 64 are the most"):
        anonymise_file(tmp_path / "not-there.csv", names, PrivacyModels(k=5), **options)


@pytest.mark.parametrize("recoding", ["full-domain", "local"])
def test_as_many_as_are_allowed_are_recoded(tmp_path, recoding):
    found = anonymise_file(
        wide(tmp_path, 64), [f"q{j}" for j in range(64)], PrivacyModels(k=5),
        output=tmp_path / "out.csv", recoding=recoding, budget_seconds=0.5,
    )  # fmt: skip
    assert found["smallest_class"] >= 5


def test_many_joins_get_room_and_no_later_relation_takes_it(monkeypatch):
    """64 joined columns of 300 rows ran out of memory one time in four."""
    monkeypatch.delenv("STEPDOWN_MEMORY", raising=False)
    with open_session() as session:
        limit = "SELECT current_setting('memory_limit')"
        before = session.scalar(limit)
        session.make_room(columns=3, joins=32)
        assert session.scalar(limit) == before
        session.make_room(joins=64)
        raised = session.scalar(limit)
        assert raised not in (before, None)
        session.make_room(columns=501)
        assert session.scalar(limit) == raised


def test_many_sensitive_columns_are_counted_together(tmp_path):
    """A tier may release 128 columns; 123 sensitive ones ran out of the engine's memory."""
    found = anonymise_file(
        wide(tmp_path, 128), ["q0", "q1"], PrivacyModels(k=5, distinct_l=2),
        output=tmp_path / "out.csv", sensitive=[f"q{j}" for j in range(2, 128)],
    )  # fmt: skip
    assert found["smallest_class"] >= 5


def test_any_number_of_columns_is_assessed(tmp_path):
    found = assess_file(wide(tmp_path, 600), [f"q{j}" for j in range(600)])
    assert found["records"] == 300
    assert "64" in found["notes"]["suda"]


def test_two_thousand_columns_fit_into_little_memory(tmp_path):
    path, out = wide(tmp_path, 2000), tmp_path / "out.csv"
    words = ["anonymise", path, "--qi", "q0,q1,q2", "--k", "5", "-o", out, "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "flows", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE,) * 2),
    )
    assert done.returncode == 0, done.stderr
    assert out.read_text().splitlines()[0] == "q0,q1,q2"


@pytest.mark.parametrize("dropped", [False, True])
@pytest.mark.parametrize("columns", [127, 128, 599, 1999])
def test_a_tier_with_too_many_columns_is_refused_when_the_config_is_read(
    tmp_path, columns, dropped
):
    path = tmp_path / "wide.yaml"
    treated = ", internal: drop" if dropped else ""
    other = f"{{role: insensitive, because: a test{treated}}}"
    path.write_text(
        "dataset: wide\ntitle: t\ncontact: a@b.example\nsource: {path: wide.csv}\n"
        "columns:\n  q: {role: quasi_identifier}\n"
        f"{''.join(f'  c{j}: {other}' + chr(10) for j in range(columns))}tiers:\n  internal: {{}}\n"
    )
    if dropped or columns < 128:
        assert len(load_config(path).config.columns) == columns + 1
        return
    with pytest.raises(ConfigInvalid, match=rf"tiers\.internal: {columns + 1} .* 128 are the most"):
        load_config(path)


def test_two_thousand_columns_are_kept_and_sorted(tmp_path):
    found = anonymise_file(
        wide(tmp_path, 2000), ["q0"], PrivacyModels(k=5), output=tmp_path / "out.csv",
        keep=[f"q{j}" for j in range(1, 2000)],
    )  # fmt: skip
    assert len(found["kept"]) == 1999


def test_a_tier_with_too_many_quasi_identifiers_is_refused_when_the_config_is_read(tmp_path):
    path = tmp_path / "wide.yaml"
    columns = "".join(f"  q{j}: {{role: quasi_identifier}}\n" for j in range(65))
    path.write_text(
        "dataset: wide\ntitle: t\ncontact: a@b.example\nsource: {path: wide.csv}\n"
        f"columns:\n{columns}tiers:\n  internal: {{}}\n"
    )
    with pytest.raises(ConfigInvalid, match=r"tiers\.internal: 65 .* 64 are the most"):
        load_config(path)


def test_the_engine_may_hold_more_for_a_wide_table_unless_it_is_told_how_much(monkeypatch):
    monkeypatch.delenv("STEPDOWN_MEMORY", raising=False)
    with open_session() as session:
        before = session.scalar("SELECT current_setting('memory_limit')")
        session.make_room(100)
        assert session.scalar("SELECT current_setting('memory_limit')") == before
        session.make_room(2000)
        session.release_memory()
        assert session.scalar("SELECT current_setting('memory_limit')") == "1.4 GiB"
        monkeypatch.setenv("STEPDOWN_MEMORY", "400MB")
        session.make_room(9000)
        assert session.scalar("SELECT current_setting('memory_limit')") == "1.4 GiB"
