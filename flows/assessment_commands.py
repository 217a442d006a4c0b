"""Define `stepdown assessment draft`, `sign` and `show`: the risk officer's answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flows import console
from flows.arguments import AsJson, Config, Store, Work
from flows.given_once import Commands
from flows.places import ledger_in, open_places
from flows.signing_commands import Key, load_private_key
from stepdown.errors import InputWrong

assessment = Commands(
    help="The risk assessment of a dataset; public is refused without one in force.",
    no_args_is_help=True,
)


@assessment.command()
def draft(
    config: Config, work: Work = Path("work"), store: Store = "store", json: AsJson = False
) -> int:
    """Write the questions beside the config, to be answered; overwrite nothing."""
    from stepdown import clock
    from stepdown.artifacts import write_durably
    from stepdown.config.assessment import assessment_path, draft_text
    from stepdown.release.requirements.assessments import RISK_OFFICER
    from stepdown.release.requirements.incident_log import last_incident

    dataset, governance = _records(config)
    path = assessment_path(config.absolute().parent, dataset)
    if path.exists():
        raise InputWrong(
            "there is an assessment already, and nothing is overwritten",
            where=str(path),
            next="Answer it anew there, with today's date, or move it away.",
        )
    officers = governance.people.in_role(RISK_OFFICER)
    by = officers[0].name if len(officers) == 1 else ""
    last = None
    if work.is_dir():
        with ledger_in(work, store).reading() as reader:
            last = last_incident(reader, dataset)
    path.parent.mkdir(exist_ok=True)
    text = draft_text(dataset, clock.today(), by, last.reference if last else "")
    write_durably(path, text.encode())
    if json:
        console.document({"dataset": dataset, "assessment": str(path)})
        return 0
    console.line(f"{path}: answer every question and choose the sensitivity, then\n")
    console.line(f"  stepdown assessment sign {config} --key KEY")
    return 0


@assessment.command()
def sign(
    config: Config,
    key: Key = None,
    work: Work = Path("work"),
    store: Store = "store",
    json: AsJson = False,
) -> int:
    """Sign the answers; what waited for them goes on."""
    from stepdown.release.decisions.assessing import sign_and_record
    from stepdown.release.requirements.assessments import sign_assessment

    dataset, governance = _records(config)
    private = load_private_key(key)
    if work.is_dir():
        workspace, place = open_places(work, store)
        signed = sign_and_record(workspace, place, governance, dataset, private)
    else:
        # The risk officer may sign on a machine of their own.
        signed = sign_assessment(governance, dataset, private)
    _show(config, work, store, json, {"signed_by": signed.statement["name"]})
    return 0


@assessment.command()
def show(
    config: Config, work: Work = Path("work"), store: Store = "store", json: AsJson = False
) -> int:
    """Say whether an assessment is in force, until when, and what sensitivity it gives."""
    _show(config, work, store, json, {})
    return 0


def _show(config: Path, work: Path, store: str, json: bool, more: dict[str, Any]) -> None:
    from stepdown import clock
    from stepdown.release.requirements.assessments import assessment_problem

    dataset, governance = _records(config)
    file = governance.assessment
    problem = None
    notes = []
    if work.is_dir():
        with ledger_in(work, store).reading() as reader:
            problem = assessment_problem(governance, reader, dataset, clock.today())
    else:
        problem = assessment_problem(governance, None, dataset, clock.today())
        notes.append("there is no workspace here: incidents were not looked for")
    said = file.assessment if file else None
    facts = {
        "dataset": dataset,
        "assessment": str(file.path) if file else None,
        "in_force": not problem,
        "problem": problem or None,
        "by": said.by if said else None,
        "sensitivity": said.sensitivity if said else None,
        "date": said.date.isoformat() if said else None,
        "valid_until": said.valid_until.isoformat() if said else None,
        "incident": said.incident if said else None,
        "sha256": said.sha256 if said else None,
        "unanswered": said.unanswered() if said else None,
        **more,
        "notes": notes,
    }
    console.facts({k: v for k, v in facts.items() if json or v not in (None, [])}, json)


def _records(config: Path) -> tuple[str, Any]:
    """The dataset's name, read without its source, and the records beside its config."""
    from stepdown.config import load_config
    from stepdown.config.governance import load_governance

    loaded = load_config(config)
    dataset = loaded.config.dataset
    return dataset, load_governance(loaded.folder, dataset)
