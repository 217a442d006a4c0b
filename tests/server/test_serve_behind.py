"""The server where it will stand: without Prefect, and behind a proxy."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from release_case import Case
from served_case import publish_all, serving

from stepdown.release.ledger.records import EventKind

BLOCKED = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("prefect", "great_expectations", "duckdb"):
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocker())
from flows.cli import main
main()
"""
DATA = "/releases/wells/public/latest/data.parquet"


def test_it_serves_without_prefect_expectations_and_engine(tmp_path: Path) -> None:
    case = Case(tmp_path)
    publish_all(case)
    with serving(case, start=("-c", BLOCKED)) as served, served.client("clinic") as client:
        assert client.get(DATA).status_code == 200
        assert client.get("/releases/wells/partner/latest/data.csv").status_code == 200
        assert client.get("/").status_code == 200


def proxy() -> str:
    found = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if found is None:
        pytest.skip("no nginx on this machine")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def nginx(folder: Path, port: int, upstream: int) -> Iterator[None]:
    """An nginx with the lines that docs/sharing.md shows."""
    page = (Path(__file__).parents[2] / "docs/sharing.md").read_text()
    lines = page.partition("```nginx\n")[2].partition("```")[0].replace("8765", str(upstream))
    folder.mkdir()
    (folder / "nginx.conf").write_text(
        f"pid {folder}/pid; error_log {folder}/error.log; daemon off; events {{}}\n"
        f"http {{ access_log off; client_body_temp_path {folder}; proxy_temp_path {folder};\n"
        f"fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};\n"
        f"server {{ listen 127.0.0.1:{port};\n{lines}\n}} }}\n"
    )
    running = subprocess.Popen([proxy(), "-c", str(folder / "nginx.conf"), "-e", "stderr"])
    try:
        while True:
            assert running.poll() is None, "nginx ended"
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        yield
    finally:
        running.terminate()
        running.wait()


def test_behind_a_proxy_readers_keep_their_address_and_urls_lead_to_it(tmp_path: Path) -> None:
    proxy()
    case = Case(tmp_path / "case")
    publish_all(case)
    outside = free_port()
    environment = {
        "STEPDOWN_SERVE_PUBLIC_URL": f"http://127.0.0.1:{outside}",
        "STEPDOWN_SERVE_TRUSTED_PROXIES": "127.0.0.1",
        "STEPDOWN_SERVE_PORT": str(free_port()),
    }
    upstream = int(environment["STEPDOWN_SERVE_PORT"])
    with (
        serving(case, port=None, **environment) as served,
        nginx(tmp_path / "nginx", outside, upstream),
        httpx.Client(
            base_url=served.url,
            transport=httpx.HTTPTransport(local_address="127.0.0.7"),
            headers={"X-Forwarded-For": "203.0.113.9", "User-Agent": "a reader"},
        ) as reader,
    ):
        assert served.url.endswith(f":{outside}")
        table = "/delta-sharing/shares/public/schemas/wells/tables/latest/query"
        lines = reader.post(table, json={}).text.split("\n")
        url = json.loads(lines[2])["file"]["url"]
        assert url.startswith(served.url)
        assert reader.get(url).status_code == 200
        part = reader.get(url, headers={"Range": "bytes=0-3"})
        assert (part.status_code, part.content) == (206, b"PAR1")
        assert reader.get(DATA).status_code == 200
        assert len(reader.get("/releases/wells/public/latest/data.xlsx").content) > 1000
    with case.ledger.reading() as ledger:
        told = [facts["address"] for facts in ledger.facts(EventKind.ACCESS)]
    # What a reader says of themselves comes first in the list, and is not believed.
    assert told
    assert set(told) == {"127.0.0.7"}
