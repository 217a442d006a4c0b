"""Build the extensions with the machine's C compiler, or with one from the package index.

The hooks are those of setuptools (PEP 517). Where no compiler works, they ask for ``ziglang``, a
wheel that holds one, and compile with it (docs/decisions/0059).
"""

from __future__ import annotations

import os
import shlex
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest import mock

from setuptools import Distribution, Extension, build_meta
from setuptools.build_meta import (
    build_sdist,
    get_requires_for_build_sdist,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)
from setuptools.errors import BaseError, CCompilerError

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

ZIGLANG = "ziglang~=0.17.1"
"""The one that was tried: before Zig 1.0, each minor version may name its options anew."""


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:
    """Require what setuptools does, and a compiler where none works."""
    brought = [ZIGLANG] if _needs_zig() else []
    return [*brought, *build_meta.get_requires_for_build_wheel(config_settings)]


def get_requires_for_build_editable(config_settings: Any = None) -> list[str]:
    """Require what setuptools does, and a compiler where none works."""
    brought = [ZIGLANG] if _needs_zig() else []
    return [*brought, *build_meta.get_requires_for_build_editable(config_settings)]


def build_wheel(*arguments: Any, **options: Any) -> str:
    """Build a wheel with the compiler that was found."""
    with _compiler():
        return str(build_meta.build_wheel(*arguments, **options))


def build_editable(*arguments: Any, **options: Any) -> str:
    """Build an editable wheel with the compiler that was found."""
    with _compiler():
        return str(build_meta.build_editable(*arguments, **options))


def _needs_zig() -> bool:
    """Tell whether a compiler must be brought; end the build where none could work."""
    failure = _failure()
    if failure is None:
        return False
    if not any(Path(folder, "Python.h").is_file() for folder in _include_folders()):
        sys.exit(
            "stepdown: this Python has no C headers (Python.h): install them, with `apt install "
            f"python{sysconfig.get_python_version()}-dev` on Debian or Ubuntu or `dnf install "
            "python3-devel` on Fedora, or take a Python that has them, as those of python.org, "
            "conda, pyenv and uv do."
        )
    if os.environ.get("CC"):
        return False  # whoever named a compiler is told what is wrong with it, by itself
    if not sys.platform.startswith("linux"):
        sys.exit(
            f"stepdown: no C compiler works here ({failure}): install the system's own, with "
            "`xcode-select --install` on macOS or the C++ build tools of Visual Studio on Windows."
        )
    sys.stderr.write(f"stepdown: no C compiler works here ({failure}): {ZIGLANG} compiles.\n")
    return True


def _failure() -> str | None:
    """Try to compile an extension module as setuptools would; the reason why not, else None."""
    with tempfile.TemporaryDirectory(prefix="stepdown-probe-") as folder:
        source = Path(folder, "probe.c")
        source.write_text("#include <Python.h>\nvoid *PyInit_probe(void) { return Py_None; }\n")
        command = Distribution({"ext_modules": [Extension("probe", [str(source)])]})
        build = command.get_command_obj("build_ext")
        build.build_lib = build.build_temp = folder
        try:
            build.ensure_finalized()
            build.run()
        except (BaseError, CCompilerError, OSError) as error:
            return " ".join(str(error).split())
        if not Path(build.get_ext_fullpath("probe")).is_file():
            return "the compiler ends well and writes nothing"
    return None


def _include_folders() -> list[str]:
    named = [os.environ.get(name, "") for name in ("CPATH", "C_INCLUDE_PATH")]
    given = [folder for value in named for folder in value.split(os.pathsep) if folder]
    return [sysconfig.get_path("include"), sysconfig.get_path("platinclude"), *given]


@contextmanager
def _compiler() -> Iterator[None]:
    """Compile with what was found; nothing of it stays in the user's folders."""
    if not _needs_zig():
        yield
        return
    if find_spec("ziglang") is None:
        sys.exit(f'stepdown: install a C compiler, or run `pip install "{ZIGLANG}"`.')
    # Left to itself, Zig compiles for this very processor; and the flags that Python was built with
    # are another compiler's.
    compile_ = f"{shlex.quote(sys.executable)} -m ziglang cc -mcpu=baseline"
    with tempfile.TemporaryDirectory(prefix="stepdown-zig-") as cache:
        brought = {
            "CC": compile_,
            # Without -O3 the linker first compiles a runtime for debugging, for 14 seconds.
            "LDSHARED": f"{compile_} -shared -O3",
            "CFLAGS": os.environ.get("CFLAGS", "-DNDEBUG -fwrapv"),
            "ZIG_GLOBAL_CACHE_DIR": cache,
            "ZIG_LOCAL_CACHE_DIR": cache,
        }
        with mock.patch.dict(os.environ, brought):
            yield
