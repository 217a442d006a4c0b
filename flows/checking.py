"""Check a config against its source: every problem of every tier in one go."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from expectations import check_suites, plainly
from stepdown import clock
from stepdown.anonymise.tiers.check import check_hierarchies
from stepdown.anonymise.tiers.foresee import Foreseen, foresee
from stepdown.artifacts import ArtifactRef
from stepdown.config import LoadedConfig
from stepdown.config.consistency import check_consistency
from stepdown.config.governance import load_governance
from stepdown.config.load import read_config
from stepdown.errors import (
    ConfigInvalid,
    HierarchyInvalid,
    InputWrong,
    PolicyInvalid,
    Refused,
    StepdownError,
)
from stepdown.ingest import check_source, consent_verdicts, ingest, read_consent
from stepdown.opened import open_source
from stepdown.release.documents.wording import fixed_text
from stepdown.release.requirements.purposes import collected_for
from stepdown.risk.leaks.config_texts import foresee_config_texts
from stepdown.tables.missing import likely_in_words
from stepdown.workspace import Workspace, open_workspace


def check_config(config: Path) -> tuple[LoadedConfig, Any, tuple[Foreseen, ...]]:
    """The config, what its source holds, and what a run may refuse though it need not.

    Raises:
        ConfigInvalid, PolicyInvalid, HierarchyInvalid: the config is wrong; the message also says
            what a run would refuse after that, as far as the source can be read, and, as always,
            what counted as missing.
        Refused: a run would be refused.
    """
    loaded = read_config(config)
    try:
        return _checked(loaded, config)
    except (InputWrong, Refused) as error:
        raise _with(error, _missing(loaded)) from None


def _missing(loaded: LoadedConfig) -> list[str]:
    """What was taken for missing, and what was not though it often is; nothing of a source that
    cannot be read as declared, whose own error tells."""
    try:
        found = check_source(loaded)
    except StepdownError:
        return []
    told = [f"Missing: {found.missing_texts}.", likely_in_words(found.likely)]
    return [each for each in told if each]


def _checked(loaded: LoadedConfig, config: Path) -> tuple[LoadedConfig, Any, tuple[Foreseen, ...]]:
    try:
        check_consistency(loaded.config, loaded.path)
    except (ConfigInvalid, PolicyInvalid) as error:
        raise _with(error, _despite(loaded)) from None
    load_governance(loaded.folder, loaded.config.dataset)
    check_suites(loaded)
    summary = check_source(loaded)
    with tempfile.TemporaryDirectory(prefix="stepdown-check-") as scratch:
        workspace = open_workspace(Path(scratch) / "work", str(Path(scratch) / "store"))
        snapshot = ingest(loaded, workspace).ref
        failed, foreseen = _asked(loaded, snapshot, workspace)
        failed += [str(each) for each in foreseen if each.certain]
        try:
            check_hierarchies(loaded, snapshot, workspace.scratch)
        except HierarchyInvalid as error:
            raise _with(error, failed) from None
    if failed:
        raise Refused(
            "\n".join(failed),
            where=str(config),
            next="Correct the source, the register or the config; a run would be refused.",
        )
    return loaded, summary, foreseen


def _asked(
    loaded: LoadedConfig, snapshot: ArtifactRef, workspace: Workspace
) -> tuple[list[str], tuple[Foreseen, ...]]:
    """What the source, the register and the config's texts would be refused for; and the gate."""
    with open_source(snapshot, loaded, workspace.scratch) as source:
        verdicts = list(plainly.validate_raw(source))
        in_texts = foresee_config_texts(source, fixed_text())
    verdicts += [collected_for(loaded.config, tier) for tier in loaded.config.tier_names()]
    if loaded.config.consent:
        loaded = replace(loaded, consents=read_consent(loaded, workspace, clock.today()))
        verdicts += consent_verdicts(loaded, snapshot, workspace.scratch)
    failed = [verdict.message for verdict in verdicts if not verdict.passed]
    failed += [f"{sentence}." for sentence in in_texts]
    return failed, foresee(loaded, snapshot, workspace.scratch)


def _despite(loaded: LoadedConfig) -> list[str]:
    """Foresee what a run would refuse besides the config's mistakes; () where these hide it."""
    try:
        with tempfile.TemporaryDirectory(prefix="stepdown-check-") as scratch:
            workspace = open_workspace(Path(scratch) / "work", str(Path(scratch) / "store"))
            snapshot = ingest(loaded, workspace).ref
            if loaded.config.consent:
                loaded = replace(loaded, consents=read_consent(loaded, workspace, clock.today()))
            foreseen = foresee(loaded, snapshot, workspace.scratch)
            return [str(each) for each in foreseen if each.certain]
    except StepdownError:
        return []


def _with(error: StepdownError, more: Sequence[str]) -> StepdownError:
    """The same error, which names what else is wrong, too."""
    if not more:
        return error
    return type(error)("\n".join([error.message, *more]), where=error.where, next=error.next)
