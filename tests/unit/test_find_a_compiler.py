"""The build takes the compiler that works, brings one where none does, and says what it cannot."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
ASK = """
import json, os, sys, sysconfig
sys.path.insert(0, sys.argv[1])
import find_a_compiler
if sys.argv[2]:
    sysconfig.get_path = lambda name: sys.argv[2]
print(json.dumps(find_a_compiler._needs_zig()))
"""
INSIDE = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
import find_a_compiler
before = dict(os.environ)
with find_a_compiler._compiler():
    print(json.dumps({n: v for n, v in os.environ.items() if before.get(n) != v}))
assert dict(os.environ) == before
"""
ELSEWHERE = """
import sys
sys.path.insert(0, sys.argv[1])
import find_a_compiler
find_a_compiler._failure = lambda: "none"
find_a_compiler._include_folders = lambda: [sys.argv[2]]
sys.platform = "darwin"
find_a_compiler._needs_zig()
"""
pytest.importorskip("setuptools", reason="the build's, which Python's environments may lack")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is brought")


@pytest.fixture
def bin_(tmp_path: Path) -> Path:
    """All of PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


def ask(
    bin_: Path, code: str = ASK, headers: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(PROJECT / "build_backend"), headers],
        cwd=bin_.parent,
        env={"PATH": str(bin_), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def compilers(bin_: Path, script: str) -> None:
    for name in ("cc", "gcc", "clang", "x86_64-linux-gnu-gcc", "aarch64-linux-gnu-gcc"):
        (bin_ / name).write_text(f"#!/bin/sh\n{script}\n")
        (bin_ / name).chmod(0o755)


WRITES_WHAT_IT_IS_ASKED_FOR = 'while [ "$1" != -o ]; do shift; done; : > "$2"'


def test_a_compiler_that_works_is_used(bin_: Path) -> None:
    compilers(bin_, WRITES_WHAT_IT_IS_ASKED_FOR)
    assert json.loads(ask(bin_).stdout.splitlines()[-1]) is False


@pytest.mark.parametrize("script", [None, "exit 1", "exit 0"], ids=["none", "fails", "idle"])
def test_one_that_does_not_is_told_of_and_another_is_brought(
    bin_: Path, script: str | None
) -> None:
    if script:
        compilers(bin_, script)
    done = ask(bin_)
    assert json.loads(done.stdout.splitlines()[-1]) is True
    assert "no C compiler works here" in done.stderr
    assert "ziglang" in done.stderr


def test_the_compiler_that_somebody_named_is_never_replaced(bin_: Path) -> None:
    done = ask(bin_, CC="/nowhere/cc")
    assert json.loads(done.stdout.splitlines()[-1]) is False


@pytest.mark.parametrize("chosen", [{}, {"CC": "/nowhere/cc"}], ids=["", "CC"])
def test_without_headers_one_sentence_says_what_to_install(
    bin_: Path, chosen: dict[str, str]
) -> None:
    done = ask(bin_, headers=str(bin_), **chosen)
    assert done.returncode == 1
    (said,) = done.stderr.splitlines()
    assert "this Python has no C headers (Python.h): install them" in said
    assert f"python3.{sys.version_info.minor}-dev" in said


def test_what_is_brought_compiles_for_any_processor_and_leaves_nothing(
    bin_: Path, tmp_path: Path
) -> None:
    (tmp_path / "ziglang").mkdir()
    (tmp_path / "ziglang" / "__init__.py").touch()
    done = ask(bin_, INSIDE)
    set_ = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 0, done.stderr
    assert set_["CC"].endswith("-m ziglang cc -mcpu=baseline")
    assert set_["LDSHARED"] == f"{set_['CC']} -shared -O3"
    assert not Path(set_["ZIG_GLOBAL_CACHE_DIR"]).exists()


def test_a_build_that_may_bring_nothing_says_what_to_install(bin_: Path) -> None:
    done = ask(bin_, INSIDE)
    assert done.returncode == 1
    assert 'install a C compiler, or run `pip install "ziglang' in done.stderr


def test_where_nothing_is_brought_the_systems_own_compiler_is_named(bin_: Path) -> None:
    (bin_ / "Python.h").touch()
    done = ask(bin_, ELSEWHERE, headers=str(bin_))
    assert done.returncode == 1
    assert "xcode-select --install" in done.stderr
