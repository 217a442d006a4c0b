"""Signing in with a real OpenID provider, as a browser would go through it."""

from __future__ import annotations

import html
import re
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from partner_case import write_security_policy
from release_case import Case
from served_case import Served, publish_all, serving

HERE = Path(__file__).parent
MODULES = HERE.parents[1] / ".clients/oidc"
PIN = "oidc-provider@8.8.1"
EVA = "eva@example.org"


@pytest.fixture(scope="module")
def modules() -> Path:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm, with which the provider is installed")
    if not (MODULES / "node_modules/oidc-provider").is_dir():
        MODULES.mkdir(parents=True, exist_ok=True)
        asked = subprocess.run(
            [npm, "view", PIN, "version"], capture_output=True, check=False, timeout=120
        )
        if asked.returncode:
            pytest.skip("no npm registry, from which the provider is installed")
        install = [npm, "install", "--no-fund", "--no-audit", "--no-package-lock", PIN]
        subprocess.run(install, cwd=MODULES, check=True, capture_output=True, timeout=300)
    return MODULES


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def signing_in(case: Case, modules: Path, told: str) -> Iterator[Served]:
    """A server whose page offers the provider."""
    ours, theirs, secret = free_port(), free_port(), secrets.token_urlsafe(16)
    file = case.root / "oidc-secret"
    file.write_text(secret)
    file.chmod(0o600)
    # Node looks for modules beside the script.
    script = modules / "provider.mjs"
    shutil.copyfile(HERE / "oidc_provider.mjs", script)
    node = shutil.which("node")
    assert node is not None
    callback = f"http://127.0.0.1:{ours}/oidc/callback"
    provider = subprocess.Popen(
        [node, str(script), str(theirs), callback, secret, told],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert provider.stdout is not None
        assert provider.stdout.readline() == "ready\n"
        environment = {
            "STEPDOWN_SERVE_PORT": str(ours),
            "STEPDOWN_SERVE_OIDC__ISSUER": f"http://127.0.0.1:{theirs}",
            "STEPDOWN_SERVE_OIDC__CLIENT_ID": "stepdown",
            "STEPDOWN_SERVE_OIDC__CLIENT_SECRET_FILE": str(file),
            "STEPDOWN_SERVE_OIDC__STEWARDS": "stu@example.org",
        }
        with serving(case, port=None, **environment) as served:
            write_security_policy(case.root, readers=[EVA])
            yield served
    finally:
        provider.kill()
        provider.wait()
        assert provider.stdout is not None
        provider.stdout.close()


@pytest.fixture(scope="module", params=["in-token", "at-userinfo"])
def served(
    request: pytest.FixtureRequest, modules: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    case = Case(tmp_path_factory.mktemp("oidc"))
    publish_all(case)
    with signing_in(case, modules, request.param) as served:
        yield served


def sign_in(browser: httpx.Client, served: Served, name: str) -> httpx.Response:
    """Go out to the provider, type a name, consent, and come back."""
    assert "/oidc/login" in browser.get(f"{served.url}/login").text
    answer = browser.get(f"{served.url}/oidc/login")
    for filled in ({"prompt": "login", "login": name, "password": "x"}, {"prompt": "consent"}):
        action = re.search(r'action="([^"]+)"', answer.text)
        assert action, answer.text
        answer = browser.post(html.unescape(action[1]), data=filled)
    return answer


def browser() -> httpx.Client:
    return httpx.Client(follow_redirects=True, trust_env=False, timeout=30)


def test_a_reader_of_internal_signs_in_and_out(served: Served) -> None:
    with browser() as eva:
        answer = sign_in(eva, served, EVA)
        assert (answer.status_code, str(answer.url)) == (200, f"{served.url}/")
        assert "/datasets/wells/internal/v1" in answer.text
        internal = f"{served.url}/releases/wells/internal/latest/data.csv"
        assert eva.get(internal).status_code == 200
        assert eva.get(f"{served.url}/steward").status_code == 404
        write_security_policy(served.case.root)  # names her no longer
        assert eva.get(internal).status_code == 404
        write_security_policy(served.case.root, readers=[EVA])
        assert eva.get(internal).status_code == 200
        eva.post(f"{served.url}/logout", headers={"origin": served.url})
        assert eva.get(internal).status_code == 404


def test_whom_no_record_names_sees_what_everybody_sees(served: Served) -> None:
    for name in ("somebody@example.org", "clinic"):  # a provider may let people choose a name
        with browser() as somebody:
            assert sign_in(somebody, served, name).status_code == 200
            for series in ("internal", "partner", "partner/clinic"):
                path = f"{served.url}/releases/wells/{series}/v1/release.json"
                assert somebody.get(path).status_code == 404
            assert somebody.get(f"{served.url}/releases/wells/public/v1/release.json").is_success


def test_an_address_that_was_not_verified_is_nobodys(served: Served) -> None:
    with browser() as somebody:
        answer = sign_in(somebody, served, "unverified@example.org")
        assert answer.status_code == 401
        assert "not verified" in answer.text


def test_an_answer_to_another_attempt_is_refused(served: Served) -> None:
    callback = f"{served.url}/oidc/callback"
    with browser() as somebody:
        assert somebody.get(callback, params={"code": "x", "state": "y"}).status_code == 401
        outward = somebody.get(f"{served.url}/oidc/login", follow_redirects=False)
        assert httpx.URL(outward.headers["location"]).params["code_challenge_method"] == "S256"
        wrong = somebody.get(callback, params={"code": "x", "state": "y"})
        assert (wrong.status_code, "another attempt" in wrong.text) == (401, True)
        state = httpx.URL(outward.headers["location"]).params["state"]
        forged = somebody.get(callback, params={"code": "x", "state": state})
        assert (forged.status_code, "does not hold" in forged.text) == (401, True)
        assert somebody.get(f"{served.url}/releases/wells/internal/v1/data.csv").status_code == 404
