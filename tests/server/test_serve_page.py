"""The pages for people without a client, asked of a real server."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from page_case import NASTY, POLICY, Page, described_case, get, sign_in
from release_case import Case
from served_case import Served, publish_all, publish_public, serving

from stepdown import clock
from stepdown.errors import LedgerDamaged
from stepdown.release.decisions.withdraw import withdraw
from stepdown.release.ledger.records import EventKind
from stepdown.sharing.readers.principals import Principal
from stepdown.sharing.readers.settings import Settings
from stepdown.sharing.readers.tokens import revoke
from stepdown.sharing.routes import release_views
from stepdown.sharing.routes.forms import parse_form
from stepdown.sharing.routes.page_routes import datasets, release_page
from stepdown.sharing.routes.release_views import versions
from stepdown.sharing.server import make_service
from stepdown.sharing.service import Service
from stepdown.vocabulary import Tier

PUBLIC = "/datasets/wells/public/v1"
COPY = "/datasets/wells/partner/clinic/v1"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    case = described_case(tmp_path_factory.mktemp("page"))
    publish_all(case)
    with serving(case) as served:
        yield served


def test_everybody_sees_the_releases_that_are_theirs(served: Served) -> None:
    public, copy, internal = PUBLIC, COPY, "/datasets/wells/internal/v1"
    for who, theirs in (
        ("", [public]),
        ("clinic", [public, copy]),
        ("Eva Epi", [public, internal]),
        ("Fin Ance", [public]),
    ):
        with sign_in(served, who) as client:
            links = get(client, "/").links
            assert [link for link in links if link.startswith("/datasets")] == theirs
            for path in (public, copy, internal):
                status = 200 if path in theirs else 404
                assert client.get(path).status_code == status, (who, path)


def test_a_token_in_the_header_opens_the_pages_too(served: Served) -> None:
    with served.client("clinic") as client:
        assert COPY in get(client, "/").links


def test_a_page_says_all_that_there_is_to_say_of_a_release(served: Served) -> None:
    with served.client() as client:
        found = get(client, "/datasets/wells/public/latest")
        release = client.get("/releases/wells/public/v1/release.json").json()
        manifest = client.get("/releases/wells/public/v1/manifest.json").json()
    hashes = [file["sha256"] for file in manifest["files"]] + list(release["metadata"].values())
    for fact in (
        *hashes,
        release["manifest_sha256"],
        release["signature"]["public_key"],
        release["citation"],
        release["contact"],
        "CC-BY-4.0",
        "40",
        "age",
        "illness",
        f"{served.url}/releases/wells/public/v1/data.parquet",
        "profile.share#public.wells.latest",
    ):
        assert fact in found.text, fact
    with served.client() as client:
        ours = [link for link in found.links if link.startswith("/")]
        assert "/releases/wells/public/v1/report.html" in ours
        for link in ours:
            answer = client.get(link)
            assert answer.status_code == 200, link
    assert found.count("h1") == 1


def test_what_does_not_exist_and_what_is_not_theirs_read_the_same(served: Served) -> None:
    paths = [COPY, "/datasets/wells/partner/clinik/v1", "/datasets/bells/internal/v1", "/nothing"]
    with sign_in(served, "Fin Ance") as client:
        bodies = {get_problem(client, path) for path in paths}
    assert len(bodies) == 1
    with served.client() as client:
        asked = [client.get(path) for path in paths[:3]]
        texts = {re.sub(r"next=[^\"]*", "", answer.text) for answer in asked}
    assert len(texts) == 1
    assert {answer.status_code for answer in asked} == {404}


def get_problem(client: httpx.Client, path: str) -> str:
    answer = client.get(path, headers={"accept": "text/html"})
    assert answer.status_code == 404
    assert answer.headers["content-security-policy"] == POLICY
    return answer.text


def test_programs_are_told_in_json_and_people_in_html(served: Served) -> None:
    with served.client() as client:
        path = "/releases/wells/partner/clinic/v1/data.csv"
        assert client.get(path).json()["errorCode"] == "RESOURCE_DOES_NOT_EXIST"
        assert "<h1>" in client.get(path, headers={"accept": "text/html"}).text
        protocol = client.get("/delta-sharing/shares/clinic", headers={"accept": "text/html"})
        assert protocol.json()["errorCode"] == "RESOURCE_DOES_NOT_EXIST"
        assert client.post("/").status_code == 405


def test_markup_in_titles_and_descriptions_is_text(served: Served) -> None:
    with served.client() as client:
        for path in ("/", PUBLIC):
            found = get(client, path)
            assert found.count("script") == 0
            assert NASTY in found.text


def test_the_browser_downloads_what_its_token_may_have(served: Served) -> None:
    with sign_in(served, "clinic") as client:
        for name, start in (("parquet", b"PAR1"), ("csv", b'"age"'), ("xlsx", b"PK")):
            answer = client.get(f"/releases/wells/partner/clinic/v1/data.{name}")
            assert answer.status_code == 200
            assert answer.content.startswith(start)
        assert client.get("/releases/wells/internal/v1/data.csv").status_code == 404
    wait_for_log(served, "clinic", "page")


def wait_for_log(served: Served, who: str, how: str) -> None:
    for _ in range(100):
        with served.case.ledger.reading() as reader:
            if any((f["who"], f["how"]) == (who, how) for f in reader.facts(EventKind.ACCESS)):
                return
        time.sleep(0.1)
    pytest.fail("nothing in the access log")


def test_the_report_can_neither_run_nor_send_anything(served: Served) -> None:
    with served.client() as client:
        answer = client.get("/releases/wells/public/v1/report.html")
    assert answer.headers["content-security-policy"] == (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; "
        "frame-ancestors 'none'"
    )


def test_a_session_is_a_cookie_that_scripts_and_other_sites_do_not_get(served: Served) -> None:
    secret = served.token("clinic")[1]
    with served.client() as client:
        answer = client.post("/login", data={"token": secret}, headers={"origin": served.url})
        name, _, rest = answer.headers["set-cookie"].partition("=")
        assert name == "stepdown"
        assert secret.partition(".")[2] not in rest
        flags = {part.strip() for part in rest.split(";")[1:]}
        assert flags == {"HttpOnly", "SameSite=lax", "Path=/", "Max-Age=28800"}
        assert "Signed in as clinic" in get(client, "/").text
        changed = client.cookies["stepdown"][:-1] + "_"
        client.cookies.set("stepdown", changed, domain=httpx.URL(served.url).host)
    with httpx.Client(base_url=served.url, trust_env=False) as other:
        other.cookies.set("stepdown", changed)
        assert "Signed in" not in get(other, "/").text


def test_a_session_never_outlives_its_token(served: Served) -> None:
    soon = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() + 100))
    secret = served.token("clinic", expires_at=soon)[1]
    with served.client() as client:
        answer = client.post("/login", data={"token": secret}, headers={"origin": served.url})
    seconds = int(re.findall(r"Max-Age=(\d+)", answer.headers["set-cookie"])[0])
    assert 0 < seconds <= 100


def test_over_https_the_cookie_is_this_hosts_alone(tmp_path: Path) -> None:
    case = Case(tmp_path / "https")
    url = "https://data.example.org"
    with serving(case, STEPDOWN_SERVE_PUBLIC_URL=url, STEPDOWN_SERVE_PORT="0") as served:
        address = listening(served)
        with httpx.Client(base_url=address, trust_env=False) as client:
            secret = served.token("clinic")[1]
            answer = client.post("/login", data={"token": secret}, headers={"origin": url})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-stepdown=")
    assert "; Secure" in cookie
    assert "Path=/" in cookie
    assert "Domain" not in cookie


def listening(served: Served) -> str:
    """Where a server listens that tells people of another address."""
    for path in Path(f"/proc/{served.process.pid}/net").glob("tcp"):
        inodes = {
            link.readlink().name
            for link in Path(f"/proc/{served.process.pid}/fd").iterdir()
            if "socket" in str(link.readlink())
        }
        for line in path.read_text().splitlines()[1:]:
            parts = line.split()
            if parts[3] == "0A" and f"socket:[{parts[9]}]" in inodes:
                return f"http://127.0.0.1:{int(parts[1].partition(':')[2], 16)}"
    raise AssertionError("it listens nowhere")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "https://elsewhere.example"},
        {"origin": "null"},
        {"sec-fetch-site": "same-origin"},
        {"origin": "OURS", "sec-fetch-site": "cross-site"},
    ],
)
def test_a_form_from_elsewhere_is_refused(served: Served, headers: dict[str, str]) -> None:
    said = {name: value.replace("OURS", served.url) for name, value in headers.items()}
    with sign_in(served, "clinic") as client:
        for path in ("/login", "/logout"):
            answer = client.post(path, data={"token": "x"}, headers=said)
            assert answer.status_code == 403
            assert "set-cookie" not in answer.headers
        assert "Signed in as clinic" in get(client, "/").text
        # Nor does the cookie count for the protocol's POST, which a form could send.
        query = "/delta-sharing/shares/clinic/schemas/wells/tables/latest/query"
        assert client.post(query, json={}, headers=said).status_code == 404
        own = {"origin": served.url}
        assert client.post(query, json={}, headers=own).status_code == 200


def test_signing_out_ends_the_session(served: Served) -> None:
    with sign_in(served, "clinic") as client:
        assert client.post("/logout", headers={"origin": served.url}).status_code == 303
        assert "Signed in" not in get(client, "/").text


def test_a_copied_cookie_ends_with_the_session_and_after_a_restart_too(tmp_path: Path) -> None:
    case = Case(tmp_path)
    publish_all(case)
    with serving(case) as served:
        secret = served.token("clinic")[1]
        with sign_in(served, "clinic") as client, sign_in(served, "clinic") as another:
            copied = client.cookies["stepdown"]
            assert greeted(served.url, copied)
            client.post("/logout", headers={"origin": served.url})
            assert not greeted(served.url, copied)
            assert httpx.get(served.url + COPY, cookies={"stepdown": copied}).status_code == 404
            assert "Signed in as clinic" in get(another, "/").text  # another session goes on
            kept = another.cookies["stepdown"]
    with case.ledger.reading() as reader:
        lines = reader.facts(EventKind.SIGNED_OUT)
    assert len(lines) == 1
    assert copied not in json.dumps(lines)
    assert secret not in json.dumps(lines)
    with serving(case) as served:
        assert not greeted(served.url, copied)
        assert greeted(served.url, kept)


def test_who_signs_out_at_one_server_is_signed_out_at_another(tmp_path: Path) -> None:
    case = Case(tmp_path)
    publish_all(case)
    with serving(case) as one, serving(case) as another, sign_in(one, "clinic") as client:
        cookies = {"stepdown": client.cookies["stepdown"]}
        for served in (one, another):
            assert httpx.get(served.url + COPY, cookies=cookies).status_code == 200
        client.post("/logout", headers={"origin": one.url})
        for served in (one, another):
            assert httpx.get(served.url + COPY, cookies=cookies).status_code == 404


def greeted(url: str, cookie: str) -> bool:
    with httpx.Client(base_url=url, trust_env=False, cookies={"stepdown": cookie}) as client:
        return "Signed in" in get(client, "/").text


def test_a_profile_file_can_be_pasted_and_the_visitor_comes_back(
    served: Served, tmp_path: Path
) -> None:
    profile = served.profile(tmp_path / "p.share", "clinic").read_text()
    with served.client() as client:
        for wanted, to in (
            (COPY, COPY),
            ("https://elsewhere.example/", "/"),
            ("//elsewhere.example/datasets/", "/"),
            ("/datasets/..%2f", "/"),
        ):
            form = {"token": f"  {profile}\n", "next": wanted}
            answer = client.post("/login", data=form, headers={"origin": served.url})
            assert (answer.status_code, answer.headers["location"]) == (303, to)


def test_a_wrong_token_is_answered_on_the_page(served: Served) -> None:
    with served.client() as client:
        answer = client.post("/login", data={"token": NASTY}, headers={"origin": served.url})
        assert answer.status_code == 401
        assert "the token is not known" in answer.text.lower()
        assert "set-cookie" not in answer.headers
        assert NASTY not in answer.text


def test_a_session_ends_when_its_token_is_revoked(served: Served) -> None:
    token, secret = served.token("clinic")
    with served.client() as client:
        client.post("/login", data={"token": secret}, headers={"origin": served.url})
        assert client.get(COPY).status_code == 200
        revoke(served.case.ledger, token.id, "tester")
        assert client.get(COPY).status_code == 404
        assert client.get("/releases/wells/partner/clinic/v1/data.csv").status_code == 404
        assert "Signed in" not in get(client, "/").text
        assert client.get(PUBLIC).status_code == 200


def test_a_withdrawn_public_release_leaves_its_reason_and_citation(tmp_path: Path) -> None:
    case = Case(tmp_path / "gone")
    publish_all(case)
    case.submit(Tier.PUBLIC, parent="wells/partner/v1", age="[25, 30)")
    publish_public(case, "wells/public/v2")
    withdraw(case.workspace, case.store, "wells/public/v2", reason=NASTY, actor="tester")
    with serving(case) as served, served.client() as client:
        text = " ".join(get(client, "/datasets/wells/public/v2", 410).text.split())
        raw = client.get("/datasets/wells/public/v2").text
    assert f"withdrawn: {NASTY}" in text
    assert "Version 2. wells/public/v2" in text
    assert "a newer version has replaced it" in text
    # How many left from one version to the next is no reader's to count.
    assert re.findall(r'data-name="Rows" class="number">([^<]*)<', raw) == ["–", "–"]
    service, anybody = in_process(case), Principal(None, "127.0.0.1", "")
    # A row that somebody edited is nobody's to know of, and no server starts any more.
    with case.ledger.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE releases SET rows = 9 WHERE version = 'v1'")
    gone = service.find(anybody, "wells/public/v2", withdrawn=True)
    assert [each.release.version for each in versions(service, anybody, gone)] == ["v2"]
    service.log.close()
    with pytest.raises(LedgerDamaged):
        in_process(case)


def in_process(case: Case) -> Service:
    """What a server would answer with, without one."""
    store = str(case.root / "store")
    return make_service(case.workspace, store, Settings(), "http://data.example.org")


def test_an_overdue_review_and_a_file_too_long_for_excel_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(tmp_path / "overdue")
    publish_all(case)
    service, anybody = in_process(case), Principal(None, "127.0.0.1", "")
    monkeypatch.setattr(clock, "now", lambda: "2098-01-01T00:00:00+00:00")
    monkeypatch.setattr(release_views, "MOST_ROWS", 39)
    assert "review overdue" in datasets(service, anybody).body.decode()
    found = Page(release_page(service, anybody, "wells/public/v1").body.decode())
    assert "Review overdue." in found.text
    assert "/releases/wells/public/v1/data.csv" in found.links
    assert "/releases/wells/public/v1/data.xlsx" not in found.links
    service.log.close()


def test_forms_are_read_in_both_of_their_encodings() -> None:
    assert parse_form("application/x-www-form-urlencoded", b"a=1%0A&b=") == {"a": "1\n", "b": ""}
    body = (
        b'--x\r\nContent-Disposition: form-data; name="note"\r\n\r\nw\xc3\xa4hl\r\n'
        b'--x\r\nContent-Disposition: form-data; name="signed"; filename="a.json"\r\n'
        b"Content-Type: application/json\r\n\r\n{\n}\n\r\n--x--\r\n"
    )
    found = parse_form("multipart/form-data; boundary=x", body)
    assert found == {"note": "wähl", "signed": "{\n}\n"}
    assert parse_form("multipart/form-data", body) == {}
    assert parse_form("multipart/form-data; boundary=y", b"\xff\x00") == {}
