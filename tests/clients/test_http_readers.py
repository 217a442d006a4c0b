"""Readers without a Delta Sharing client, each by the URL of a file, against a real server."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from client_environments import Reader, ReaderFailed, outside, reader
from served_case import Served
from shown_lines import PAGE, README, here, shown

ROWS = 40
RUN = {
    "pandas",
    "pandas over HTTP",
    "pyarrow over HTTP",
    "Polars",
    "Polars with a token",
    "DuckDB",
    "R",
    "R, the file",
    "curl",
    "curl, a workbook",
}
NOT_RUN = {"Spark", "R by Delta Sharing", "Power Query"}
BOTH = pytest.mark.parametrize("page", [README, PAGE], ids=["README", "page"])


@pytest.fixture(scope="module")
def analyst(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    with reader("http-readers", tmp_path_factory.mktemp("analyst")) as found:
        yield found


@pytest.fixture(scope="module")
def secret(served: Served) -> str:
    return served.token("clinic")[1]


@dataclass(frozen=True)
class Urls:
    """Where the same table is: for everybody, for a recipient, and signed for that recipient."""

    public: str
    own: str
    signed: str


@pytest.fixture(scope="module")
def urls(served: Served) -> Urls:
    with served.client("clinic") as client:
        table = "/delta-sharing/shares/clinic/schemas/wells/tables/latest/query"
        file = json.loads(client.post(table, json={}).text.split("\n")[2])["file"]
    at = f"{served.url}/releases/wells"
    return Urls(
        f"{at}/public/latest/data.parquet", f"{at}/partner/latest/data.parquet", file["url"]
    )


READ = {
    "pandas": """
import pandas
found = len(pandas.read_parquet(url, storage_options=headers or None))
""",
    "pyarrow": """
import fsspec, pyarrow.parquet
http = fsspec.filesystem("http", headers=headers)
found = pyarrow.parquet.read_table(url, columns=["age"], filesystem=http).num_rows
""",
    "polars": """
import fsspec, polars
with fsspec.open(url, headers=headers) as file:
    found = polars.read_parquet(file).height
""",
    "polars, lazily": """
import polars
found = polars.scan_parquet(url).filter(polars.col("age").is_not_null()).collect().height
""",
    "duckdb": """
import duckdb
connection = duckdb.connect()
connection.execute("INSTALL httpfs; LOAD httpfs")
if headers:
    value = headers["Authorization"].removeprefix("Bearer ")
    connection.execute(f"CREATE SECRET (TYPE http, BEARER_TOKEN '{value}', SCOPE '{url}')")
found = connection.sql(f"SELECT count(age) FROM read_parquet('{url}')").fetchone()[0]
""",
}


@pytest.fixture(scope="module", autouse=True)
def extension(analyst: Reader) -> None:
    """What ``INSTALL httpfs`` would fetch, from the package that carries it."""
    analyst.ask("""
import duckdb, importlib.util, pathlib
package = pathlib.Path(importlib.util.find_spec("duckdb_extension_httpfs").origin).parent
file = package / "extensions" / f"v{duckdb.__version__}" / "httpfs.duckdb_extension"
duckdb.connect().execute(f"INSTALL '{file}'")
""")


@pytest.mark.parametrize("name", READ)
def test_public_is_read_by_its_address(urls: Urls, analyst: Reader, name: str) -> None:
    assert analyst.ask(READ[name], url=urls.public, headers={}) == ROWS


@pytest.mark.parametrize("name", READ)
def test_a_signed_url_needs_no_token(urls: Urls, analyst: Reader, name: str) -> None:
    assert analyst.ask(READ[name], url=urls.signed, headers={}) == ROWS


@pytest.mark.parametrize("name", [name for name in READ if name != "polars, lazily"])
def test_a_recipient_reads_their_copy(urls: Urls, analyst: Reader, secret: str, name: str) -> None:
    headers = {"Authorization": f"Bearer {secret}"}
    assert analyst.ask(READ[name], url=urls.own, headers=headers) == ROWS


@pytest.mark.parametrize("name", ["pandas", "pyarrow", "polars", "duckdb"])
def test_each_file_of_several_is_read_by_its_name(
    served: Served, analyst: Reader, name: str
) -> None:
    headers = {"Authorization": f"Bearer {served.token('Eva Epi')[1]}"}
    folder = f"{served.url}/releases/wells/internal/latest"
    read = re.sub(r"\bage\b", "small", READ[name])
    parts = [f"{folder}/data/part-0000{number}.parquet" for number in range(2)]
    found = [analyst.ask(read, url=url, headers=headers) for url in parts]
    assert found == [4, 3]


def test_pandas_reads_all_files_as_one(served: Served, analyst: Reader) -> None:
    headers = {"Authorization": f"Bearer {served.token('Eva Epi')[1]}"}
    url = f"{served.url}/releases/wells/internal/latest/data.parquet"
    assert analyst.ask(READ["pandas"], url=url, headers=headers) == 7


@pytest.mark.parametrize("name", READ)
def test_nobody_else_reads_it(urls: Urls, analyst: Reader, name: str) -> None:
    with pytest.raises(ReaderFailed, match=r"404|FileNotFoundError"):
        analyst.ask(READ[name], url=urls.own, headers={})


def test_polars_sends_no_token_over_http(urls: Urls, analyst: Reader, secret: str) -> None:
    """Once it does, the page may say so."""
    code = """
import polars
options = {"Authorization": f"Bearer {secret}"}
found = polars.scan_parquet(url, storage_options=options).collect().height
"""
    with pytest.raises(ReaderFailed, match="it is not for you"):
        analyst.ask(code, url=urls.own, secret=secret)


def test_every_line_that_is_shown_is_run_or_said_not_to_be() -> None:
    assert set(shown(PAGE)) == RUN | NOT_RUN
    assert set(shown(README)) <= RUN | NOT_RUN
    assert PAGE.count("\n```") == 2 * len(RUN | NOT_RUN)
    not_run = PAGE.split("**Not run in our tests**")[1]
    assert all(name in not_run for name in ("Spark", "delta.sharing", "Power BI", "Tableau"))


def test_no_client_needs_more_than_five_lines() -> None:
    for text in (README, PAGE):
        for name, lines in shown(text).items():
            assert len(lines.splitlines()) <= 5, name


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("pandas over HTTP", "len(wells)"),
        ("pyarrow over HTTP", "wells.num_rows"),
        ("Polars", "wells.height"),
        ("Polars with a token", "wells.height"),
    ],
)
def test_the_lines_for_python_work(
    served: Served, analyst: Reader, secret: str, name: str, rows: str
) -> None:
    token = "import os\nos.environ['TOKEN'] = secret\n"
    code = f"{token}{here(shown(PAGE)[name], served)}\nfound = {rows}"
    assert analyst.ask(code, secret=secret) == ROWS


@BOTH
def test_the_lines_for_duckdb_work(served: Served, analyst: Reader, secret: str, page: str) -> None:
    code = "import duckdb\nfound = len(duckdb.connect().sql(lines).fetchall())"
    assert analyst.ask(code, lines=here(shown(page)["DuckDB"], served, secret)) == ROWS


@BOTH
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_lines_for_curl_work(served: Served, tmp_path: Path, secret: str, page: str) -> None:
    run("bash", here(shown(page)["curl"], served), tmp_path, secret)
    assert pq.read_table(tmp_path / "wells-partner-clinic-v1.parquet").num_rows == ROWS


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_gets_files_and_reasons(
    served: Served, urls: Urls, tmp_path: Path, secret: str
) -> None:
    run("bash", here(shown(PAGE)["curl, a workbook"], served), tmp_path, secret)
    assert (tmp_path / "wells-partner-clinic-v1.xlsx").read_bytes().startswith(b"PK\x03\x04")
    for name, url in (("public", urls.public), ("signed", urls.signed)):
        run("bash", f"curl -fsS -o {name}.parquet '{url}'", tmp_path)
        assert pq.read_table(tmp_path / f"{name}.parquet").num_rows == ROWS
    # A download that broke off after its first hundred bytes.
    whole = (tmp_path / "public.parquet").read_bytes()
    (tmp_path / "broken.parquet").write_bytes(whole[:100])
    run("bash", f"curl -fsS -C - -o broken.parquet '{urls.public}'", tmp_path)
    assert (tmp_path / "broken.parquet").read_bytes() == whole
    refused = run("bash", f"curl -sS --fail-with-body '{urls.own}'", tmp_path, code=22)
    assert "it is not for you" in refused


@BOTH
@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not installed")
def test_the_lines_for_r_work(served: Served, tmp_path: Path, secret: str, page: str) -> None:
    lines = here(shown(page)["R"], served)
    assert run("Rscript", f"{lines}\ncat(nrow(wells))", tmp_path, secret).endswith(str(ROWS))


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not installed")
def test_r_gets_the_file(served: Served, tmp_path: Path, secret: str) -> None:
    run("Rscript", here(shown(PAGE)["R, the file"], served), tmp_path, secret)
    assert pq.read_table(tmp_path / "wells.parquet").num_rows == ROWS


def run(program: str, lines: str, folder: Path, secret: str = "", *, code: int = 0) -> str:
    """What a program prints for these lines in a folder."""
    script = folder / "lines"
    script.write_text(lines)
    done = subprocess.run(
        [program, str(script)],
        cwd=folder,
        env=outside(folder) | {"TOKEN": secret},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stdout
