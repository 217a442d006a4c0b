"""Refer to written files by path and hash: what tasks pass instead of tables."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from stepdown.errors import InputWrong, StoreCorrupt, WorldFailed

_BLOCK = 1 << 20


@dataclass(frozen=True)
class ArtifactRef:
    """A Parquet file as it was when it was written, or several that are one table.

    Args:
        path: absolute path of the file; of the first of several.
        sha256: hex digest of its bytes; of several, that of their digests, a line each.
        rows: number of rows in it, or in all of them.
        parts: the files in the order of their rows, where there are several.
    """

    path: str
    sha256: str
    rows: int
    parts: tuple[ArtifactRef, ...] = ()

    @classmethod
    def of(cls, parts: Sequence[ArtifactRef]) -> ArtifactRef:
        """One table of one file or more, in the order of their rows."""
        if len(parts) == 1:
            return parts[0]
        digests = "".join(f"{part.sha256}\n" for part in parts)
        sha256 = hashlib.sha256(digests.encode()).hexdigest()
        return cls(parts[0].path, sha256, sum(part.rows for part in parts), tuple(parts))

    @property
    def files(self) -> tuple[ArtifactRef, ...]:
        """Each of its files."""
        return self.parts or (self,)


def sha256_of(path: str | Path) -> str:
    """Hex SHA-256 of a file's bytes, read in blocks."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


Hashes = dict[tuple[str, int, int, int, int], str]
"""SHA-256 of files that were hashed, by path, inode, size, and the times of the last change.

Two times: whoever writes a file may set the first back, and only the kernel sets the second.
"""


def check_bytes(ref: ArtifactRef, known: Hashes | None = None) -> Path:
    """The file behind a reference, the first of several, after their bytes were hashed again.

    Args:
        known: of this run; a file that is in it, and is the same since, is not read once more.

    Raises:
        StoreCorrupt: the file is missing or its bytes have changed since it was measured.
    """
    for file in ref.files:
        path = Path(file.path)
        if not path.is_file():
            raise StoreCorrupt(
                "the file is missing", where=str(path), next="Run the release again."
            )
        if _hashed(path, known if known is not None else {}) != file.sha256:
            raise StoreCorrupt(
                f"its bytes are no longer those that were written (expected SHA-256 {file.sha256})",
                where=str(path),
                next="Run the release again; find out who or what changed the file.",
            )
    return Path(ref.path)


def _hashed(path: Path, known: Hashes) -> str:
    # What the file was before it was read: should it change meanwhile, it is read again.
    found = path.stat()
    key = (str(path), found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    if key not in known:
        known[key] = sha256_of(path)
    return known[key]


def canonical_json(facts: Mapping[str, object]) -> bytes:
    """One spelling of a document, so that equal facts have equal hashes."""
    text = json.dumps(facts, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode()


def write_durably(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Write a whole file or none of it: temporary name, fsync, rename.

    Raises:
        WorldFailed: the disk refused.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb", opener=partial(os.open, mode=mode)) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise WorldFailed(
            f"cannot write the file ({error.strerror})", where=str(path), next="Check the disk."
        ) from None


def new_file(path: Path, what: str) -> None:
    """Make sure that a file can be made here, and that none is written over.

    Raises:
        InputWrong: there is one already, or no folder for it.
    """
    if path.exists() or not path.parent.is_dir():
        why = "there is a file already" if path.exists() else "there is no such folder"
        raise InputWrong(
            f"{what} cannot be written: {why}", where=str(path), next="Name a new file."
        )
