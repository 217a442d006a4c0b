"""Set Prefect up for a run in this process: quiet, offline, its database in the workspace."""

from __future__ import annotations

import os
from pathlib import Path


def quiet_prefect(work: Path) -> None:
    """Set what the user has not set. Call it before Prefect is imported.

    With ``PREFECT_API_URL`` the user's server is used and only its address and telemetry matter;
    without it a server of our own is started for the run and ends with it.
    """
    settings = {
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
    }
    if not os.environ.get("PREFECT_API_URL"):  # an empty one names no server
        home = work / "prefect"
        settings |= {
            "PREFECT_HOME": str(home),
            "PREFECT_PROFILES_PATH": str(home / "profiles.toml"),
            "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
        }
    for name, value in settings.items():
        os.environ.setdefault(name, value)
