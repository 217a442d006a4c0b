"""Read and write the folder or bucket of published releases, each file whole or not at all."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec

from stepdown.errors import (
    AlreadyThere,
    InputWrong,
    StepdownError,
    StoreCorrupt,
    TransientError,
    WorldFailed,
)
from stepdown.vocabulary import Tier

_BLOCK = 1 << 20
_AHEAD = 1 << 18
"""What a small read of a bucket brings with it."""
_HASHED = 1 << 23
"""A bucket is asked once for so many bytes, which takes a round trip."""
_UNFINISHED = ".unfinished-"
_NO_ANSWER = ("ConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "ConnectionClosedError")
"""How the classes end that drivers of buckets raise when nobody answers."""


@dataclass(frozen=True)
class Store:
    """Paths are relative to its root, with forward slashes; every write is whole or not at all."""

    url: str
    filesystem: Any
    root: str
    is_local: bool

    def location(self, path: str) -> str:
        """Where a person or program outside would look: a local path, or a URL."""
        return f"{self.root}/{path}" if self.is_local else f"{self.url.rstrip('/')}/{path}"

    def exists(self, path: str) -> bool:
        with _failures(path):
            self.filesystem.invalidate_cache()
            return bool(self.filesystem.exists(self._full(path)))

    def read(self, path: str) -> bytes:
        """All bytes of a small file.

        Raises:
            FileNotFoundError: it is not there.
        """
        with _failures(path, FileNotFoundError):
            return bytes(self.filesystem.cat_file(self._full(path)))

    def open(self, path: str) -> Any:
        """A readable binary file, for what is too large to hold."""
        with _failures(path):
            if self.is_local:
                return self.filesystem.open(self._full(path), "rb")
            # A driver would read ahead and keep up to 50 MB for every reader.
            file = self.filesystem.open(self._full(path), "rb", cache_type="none")
            return io.BufferedReader(_Remote(path, file), _AHEAD)

    def sha256(self, path: str) -> str:
        """Of a file's bytes as they are now."""
        with self.open(path) as file:
            digest = hashlib.sha256()
            while block := file.read(_HASHED):
                digest.update(block)
        return digest.hexdigest()

    def state(self, path: str) -> str:
        """What changes whenever the file does, without reading it.

        Raises:
            FileNotFoundError: it is not there.
        """
        with _failures(path, FileNotFoundError):
            self.filesystem.invalidate_cache()
            return str(self.filesystem.ukey(self._full(path)))

    def files(self, path: str = "") -> list[str]:
        """Every file below a folder, sorted; empty where there is no such folder."""
        folder = self._full(path) if path else self.root
        with _failures(path):
            self.filesystem.invalidate_cache()
            if not self.filesystem.exists(folder):
                return []
            found = self.filesystem.find(folder)
        root = self.root.rstrip("/") + "/"
        return sorted(name.removeprefix(root) for name in found)

    def sizes(self, path: str) -> dict[str, int]:
        """Every file below a folder with its bytes, in one listing; nothing is read."""
        with _failures(path):
            self.filesystem.invalidate_cache()
            if not self.filesystem.exists(self._full(path)):
                return {}
            found = self.filesystem.find(self._full(path), detail=True)
        root = self.root.rstrip("/") + "/"
        return {name.removeprefix(root): int(facts["size"]) for name, facts in found.items()}

    def called(self, name: str) -> list[str]:
        """Every file of this name in the folder of a release, sorted, in one listing."""
        if not self.is_local:
            return [path for path in self.files() if path.rpartition("/")[2] == name]
        root = Path(self.root)
        with _failures(""):
            found = [*root.glob(f"*/*/*/{name}"), *root.glob(f"*/*/*/*/{name}")]
        return sorted(path.relative_to(root).as_posix() for path in found)

    def folders(self, path: str) -> list[str]:
        """Names of the folders directly below one."""
        with _failures(path):
            self.filesystem.invalidate_cache()
            if not self.filesystem.exists(self._full(path)):
                return []
            entries = self.filesystem.ls(self._full(path), detail=True)
        return sorted(Path(e["name"]).name for e in entries if e["type"] == "directory")

    def put_file(self, source: Path, path: str, sha256: str) -> None:
        """Copy a file in, hashing on the way.

        Raises:
            StoreCorrupt: the bytes that were read are not the ones that were judged.
        """
        with _failures(path), open(source, "rb") as reader:
            if not self.is_local:
                with self.filesystem.open(self._full(path), "wb") as remote:
                    digest = _copy(reader, remote)
            else:
                with _durable(self._local(path)) as (writer, place):
                    digest = _copy(reader, writer)
                    if digest == sha256:
                        place(os.replace)
        if digest != sha256:
            self.delete(path)
            raise StoreCorrupt(
                "its bytes are no longer those that the gate judged",
                where=str(source),
                next="Run the release again; find out who or what changed the file.",
            )

    def create(self, path: str, content: bytes) -> None:
        """Write a file that must not exist yet: the commit point of a publication.

        Raises:
            AlreadyThere: it exists; nothing was changed.
        """
        try:
            with _failures(path, FileExistsError):
                if not self.is_local:
                    # Not every server of buckets heeds the condition of a conditional write.
                    if self.exists(path):
                        raise FileExistsError
                    self.filesystem.pipe_file(self._full(path), content, mode="create")
                    return
                with _durable(self._local(path)) as (writer, place):
                    writer.write(content)
                    place(os.link)
        except FileExistsError:
            raise AlreadyThere(
                "another process committed this version first",
                where=path,
                next="Run again; the next free version will be taken.",
            ) from None

    def replace(self, path: str, content: bytes) -> None:
        """Write a small file whole, over whatever is there."""
        with _failures(path):
            if not self.is_local:
                self.filesystem.pipe_file(self._full(path), content)
                return
            with _durable(self._local(path)) as (writer, place):
                writer.write(content)
                place(os.replace)

    def set_times(self, path: str, moment: str) -> None:
        """Give every file and folder below one the same time, where a store keeps such times.

        Else the times would tell how long each file took, and a synchronised copy would keep that.

        Args:
            moment: ISO 8601 with time zone.
        """
        if not self.is_local:
            return
        seconds = dt.datetime.fromisoformat(moment).timestamp()
        with _failures(path):
            for each in sorted(Path(self._full(path)).rglob("*"), reverse=True):
                os.utime(each, (seconds, seconds))

    def delete(self, path: str) -> None:
        """Remove a file or a whole folder; nothing happens where there is none."""
        with _failures(path):
            self.filesystem.invalidate_cache()
            if self.filesystem.exists(self._full(path)):
                self.filesystem.rm(self._full(path), recursive=True)
                if self.is_local:
                    _sync_folder(Path(self._full(path)).parent)

    def sweep(self, path: str) -> None:
        """Remove what a killed process left half written below a folder."""
        for name in self.files(path):
            if Path(name).name.startswith(_UNFINISHED):
                self.delete(name)

    def _local(self, path: str) -> Path:
        """Where a file goes in a local store; folders of tiers with readers are their owner's."""
        target = Path(self._full(path))
        parts = path.split("/")
        if len(parts) > 2 and parts[1] in (Tier.INTERNAL, Tier.PARTNER):
            folder = Path(self._full("/".join(parts[:2])))
            if not folder.exists():
                _make_folders(folder)
                folder.chmod(0o700)
        return target

    def _full(self, path: str) -> str:
        parts = path.split("/")
        if path.startswith("/") or "\\" in path or any(part in ("", ".", "..") for part in parts):
            raise InputWrong("is not a path inside the store", where=path[:200])
        return f"{self.root.rstrip('/')}/{path}"


class _Remote(io.RawIOBase):
    """A file of a bucket, whose driver's failures come as the store's."""

    def __init__(self, path: str, file: Any) -> None:
        self.path, self.file = path, file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self.file.seek(offset, whence))

    def tell(self) -> int:
        return int(self.file.tell())

    def readinto(self, buffer: Any) -> int:
        with _failures(self.path):
            return int(self.file.readinto(buffer))

    def close(self) -> None:
        self.file.close()
        super().close()


def open_store(url: str) -> Store:
    """The store at a local path or any URL that fsspec knows.

    Raises:
        InputWrong: no driver for this kind of URL.
    """
    is_local = "://" not in url or url.startswith("file://")
    if is_local:
        url = str(Path(url.removeprefix("file://")).expanduser().resolve())
    try:
        filesystem, root = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError):
        raise InputWrong(
            "no driver for this kind of store is installed",
            where=url.split("://", 1)[0],
            next="Install the fsspec driver for it (s3fs, gcsfs, adlfs), or use a local folder.",
        ) from None
    return Store(url, filesystem, root, is_local)


def _copy(reader: Any, writer: Any) -> str:
    digest = hashlib.sha256()
    while block := reader.read(_BLOCK):
        digest.update(block)
        writer.write(block)
    return digest.hexdigest()


@contextmanager
def _durable(target: Path) -> Iterator[tuple[Any, Any]]:
    """A temporary file beside the target, and how to put it in place once it is on disk."""
    _make_folders(target.parent)
    temporary = target.with_name(f"{_UNFINISHED}{os.getpid()}-{target.name}")
    try:
        with open(temporary, "wb") as file:

            def place(move: Any) -> None:
                file.flush()
                os.fsync(file.fileno())
                file.close()  # Windows moves no file that is open
                move(temporary, target)

            yield file, place
    finally:
        temporary.unlink(missing_ok=True)
        _sync_folder(target.parent)


def _make_folders(folder: Path) -> None:
    missing = [f for f in (folder, *folder.parents) if not f.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for made in missing:
        _sync_folder(made.parent)


def _sync_folder(folder: Path) -> None:
    if sys.platform == "win32":
        return  # it opens no folders
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _failures(path: str, *let_through: type[OSError]) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # drivers of buckets have failures of their own classes
        if isinstance(error, (StepdownError, *let_through)):
            raise
        name = type(error).__name__
        if isinstance(error, ConnectionError | TimeoutError) or name.endswith(_NO_ANSWER):
            raise TransientError(
                f"the store did not answer ({name})", where=path, next="Run again."
            ) from None
        raise WorldFailed(
            f"the store refused ({getattr(error, 'strerror', None) or name})",
            where=path,
            next="Check free space and permissions of the store, then run again.",
        ) from None
