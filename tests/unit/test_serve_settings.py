from __future__ import annotations

from pathlib import Path

import pytest
from pages_from_code import settings_table

from stepdown.errors import ConfigInvalid
from stepdown.sharing.readers.settings import load_settings


def test_the_environment_wins_over_the_file_and_the_command_over_both(tmp_path: Path) -> None:
    file = tmp_path / "serve.yaml"
    file.write_text("port: 1\nhost: 127.0.0.2\nlimits: {requests_per_minute: 7}\n")
    environment = {
        "STEPDOWN_SERVE_PORT": "2",
        "STEPDOWN_SERVE_LIMITS__BYTES_PER_DAY": "9",
        "STEPDOWN_SERVE_TRUSTED_PROXIES": "127.0.0.1, 10.0.0.0/8",
        "STEPDOWN_SERVE_CONFIG": str(file),
        "STEPDOWN_SERVERS": "no key of ours",
    }
    found = load_settings(file, environment, port=None)
    assert (found.port, found.host, found.trusted_proxies) == (
        2,
        "127.0.0.2",
        ["127.0.0.1/32", "10.0.0.0/8"],
    )
    assert (found.limits.requests_per_minute, found.limits.bytes_per_day) == (7, 9)
    assert load_settings(file, environment, port=3).port == 3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STEPDOWN_SERVE_PROT", "1"),
        ("STEPDOWN_SERVE_LIMITS__BYTES", "1"),
        ("STEPDOWN_SERVE_LIMITS", "1"),
        ("STEPDOWN_SERVE_NOWHERE__PORT", "1"),
        ("STEPDOWN_SERVE_PORT", "70000"),
        ("STEPDOWN_SERVE_PUBLIC_URL", "data.example.org"),
        ("STEPDOWN_SERVE_PUBLIC_URL", "http://data.example.org"),
        ("STEPDOWN_SERVE_PUBLIC_URL", "https://"),
        ("STEPDOWN_SERVE_PUBLIC_URL", "https://data.example.org/?a"),
        ("STEPDOWN_SERVE_HOST", "0.0.0.0"),
        ("STEPDOWN_SERVE_TRUSTED_PROXIES", "proxy.example.org"),
        ("STEPDOWN_SERVE_WATCH__HOURS", "8-18"),
    ],
)
def test_a_setting_that_is_misspelled_or_out_of_bounds_stops_the_server(
    name: str, value: str
) -> None:
    with pytest.raises(ConfigInvalid):
        load_settings(None, {name: value})


def test_the_page_lists_every_setting() -> None:
    page = (Path(__file__).parents[2] / "docs/sharing.md").read_text()
    assert settings_table() in page


def test_a_server_that_others_reach_says_how() -> None:
    told = {"STEPDOWN_SERVE_HOST": "::", "STEPDOWN_SERVE_PUBLIC_URL": "https://data.example.org/x/"}
    assert load_settings(None, told).public_url == "https://data.example.org/x"
    here = {"STEPDOWN_SERVE_PUBLIC_URL": "http://localhost:8765/"}
    assert load_settings(None, here).public_url == "http://localhost:8765"
