"""Lay the example out in a folder, run the release, sign it, and show what came of it."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from pathlib import Path

from flows import console
from flows.local_run import outcome_now, run_release
from flows.outcome import RunOutcome, TierOutcome
from flows.progress import progress
from flows.unchanged import now_settled, what_is_asked
from stepdown import clock
from stepdown.anonymise.tiers.keys import keys_needed
from stepdown.config import json_schema, load_config
from stepdown.config.assessment import assessment_path, latest_end
from stepdown.config.governance import load_governance
from stepdown.config.people import account
from stepdown.keyring import write_keyring
from stepdown.plain_words import counted
from stepdown.release.decisions.approvals import SignedRemarks, approve
from stepdown.release.ledger.store import open_store
from stepdown.release.requirements.assessments import sign_assessment
from stepdown.release.requirements.evidence import load_evidence
from stepdown.signing import load_key, make_key, write_key
from stepdown.workspace import open_workspace

CONFIG = "covid_tests.yaml"
DATASET = "covid-tests"
ASSESSMENT = "assessment.yaml"
COPIED = (
    CONFIG,
    "hierarchies/clinic_name.csv",
    "go-ahead/patient-council.yaml",
    "go-ahead/minutes.txt",
    "partners/county-health.yaml",
    "partners/DSA-2026-07.txt",
    "security-policy.yaml",
)
SIGNERS = {
    "owner": "Demo Owner (signed by the demo)",
    "steward": "Demo Steward (signed by the demo)",
    "risk_officer": "Demo Risk Officer (signed by the demo)",
    "subject_representative": "Demo Patient Council (signed by the demo)",
}
SIGNATURES = {
    "partner": ["owner"],
    "partner/county-health": ["owner"],
    "public": ["steward", "risk_officer", "subject_representative"],
}
GO_AHEAD = "go-ahead/patient-council.yaml"


def run_demo(folder: Path, as_json: bool, again: bool = False) -> int:
    """Build the example in ``folder`` and release it; a second time, say what is unchanged."""
    config = _lay_out(folder)
    work, store = folder / "work", str(folder / "store")
    outcome = run_release(config, work, store, again=again)
    if _sign(outcome, folder, store):
        outcome = outcome_now(outcome, work, store)
        now_settled(what_is_asked(load_config(config), open_workspace(work, store), store), outcome)
    console.outcome(outcome, work, store, as_json)
    if not as_json:
        _look_further(outcome, folder, config)
    return outcome.exit_code


def _lay_out(folder: Path) -> Path:
    # What is there stays: the reader may have edited it.
    config = folder / "configs" / CONFIG
    raw = folder / "raw" / "covid_tests.csv"
    if not raw.exists():
        progress(f"writing {raw}")
        from flows.demo.data import write_raw_table  # for the first time only: it reads a package

        write_raw_table(raw)
    for name in COPIED:
        target = config.parent / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            progress(f"writing {target}")
            target.write_bytes((files("flows.demo") / name).read_bytes())
    schema = config.parent / "release-config.schema.json"
    schema.write_text(json.dumps(json_schema(), indent=1) + "\n", encoding="utf-8")
    _lay_out_people(folder, config)
    _lay_out_assessment(folder, config)
    _lay_out_keyring(folder, config)
    return config


def _lay_out_people(folder: Path, config: Path) -> None:
    # Their keys are in the open, as all the demo's: they show how signing works, and no more.
    lines = [
        f"services: [{account()}] # who runs the demo is none of those who sign\n",
        "people:\n",
    ]
    for role, name in SIGNERS.items():
        key, path = make_key(_seed(role)), folder / "keys" / f"{role}.key"
        path.parent.mkdir(exist_ok=True)
        if not path.exists():
            write_key(path, key)
        lines.append(f'  - {{name: "{name}", roles: [{role}],\n     public_key: "{key.public}"}}\n')
    people = config.parent / "people.yaml"
    if not people.exists():
        people.write_text("".join(lines), encoding="utf-8")


def _lay_out_assessment(folder: Path, config: Path) -> None:
    path = assessment_path(config.parent, DATASET)
    if path.exists():
        return
    progress(f"writing {path}")
    path.parent.mkdir(exist_ok=True)
    today = clock.today()
    text = (files("flows.demo") / ASSESSMENT).read_text(encoding="utf-8")
    text = text.replace("DATE", today.isoformat()).replace("UNTIL", latest_end(today).isoformat())
    path.write_text(text, encoding="utf-8")
    key = load_key(folder / "keys" / "risk_officer.key")
    sign_assessment(load_governance(config.parent, DATASET), DATASET, key)


def _seed(name: str) -> bytes:
    return hashlib.sha256(b"the demo's public key " + name.encode()).digest()


def _lay_out_keyring(folder: Path, config: Path) -> None:
    workspace = open_workspace(folder / "work", str(folder / "store"))
    if not workspace.keyring.exists():
        # The demo must give the same bytes everywhere, so its keys are no secret. A real keyring
        # is made of random keys by the first run.
        names = keys_needed(load_config(config).config)
        write_keyring(workspace.keyring, {name: _seed(name) for name in names})


def _sign(outcome: RunOutcome, folder: Path, store: str) -> bool:
    signed = False
    workspace = open_workspace(folder / "work", store)
    evidence = load_evidence(folder / "configs" / GO_AHEAD)
    for tier, end in outcome.ends.items():
        if end.state != "awaiting_approval" or end.release is None:
            continue
        for role in SIGNATURES.get(tier, []):
            progress(f"{tier}: approving as {SIGNERS[role]}, {role}")
            told = evidence if role == "subject_representative" else None
            words = SignedRemarks(role, "An example, not a review.", told)
            key = load_key(folder / "keys" / f"{role}.key")
            approve(workspace, open_store(store), end.release, key, words)
            signed = True
    return signed


def _look_further(outcome: RunOutcome, folder: Path, config: Path) -> None:
    public = outcome.tiers["public"]
    places = f"--work {folder / 'work'} --store {folder / 'store'}"
    console.line("\nWhat each tier dropped, and why:")
    for tier, end in outcome.tiers.items():
        for reason, columns in _dropped_here(end).items():
            console.line(f"  {tier}: {', '.join(columns)} ({reason})")
        if end.suppressed:
            console.line(
                f"  {tier}: {counted(end.suppressed, 'record')}, to meet its privacy models"
            )
    console.line("\nWhere things are:")
    console.line(
        f"  {folder / 'raw' / 'covid_tests.csv'}\n    the raw table, with every identifier"
    )
    console.line(f"  {config}\n    what each tier does to each column: edit it")
    for tier, end in outcome.tiers.items():
        if end.path:
            console.line(f"  {end.path}\n    the {tier} release; open its report.html")
    console.line("\nLook further:")
    console.line(
        f"  stepdown serve {places}\n    the page that readers get, at http://127.0.0.1:8765"
    )
    console.line(f"  stepdown releases {places}")
    console.line(f"  stepdown verify {public.release} {places}")
    console.line(f"  stepdown plan {config} {places}")
    console.line(
        f"  stepdown assess {public.path}/data/part-00000.parquet "
        "--qi gender,age --sensitive result"
    )


def _dropped_here(end: TierOutcome) -> dict[str, list[str]]:
    """Reason → columns that this tier dropped itself, not the one above it."""
    reasons: dict[str, list[str]] = {}
    for column, reason in end.dropped.items():
        if reason != "dropped above":
            reasons.setdefault(reason, []).append(column)
    return reasons
