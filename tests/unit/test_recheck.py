"""The register is asked about what is out, also where the ledger is damaged."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from release_case import Case

from stepdown import clock
from stepdown.anonymise.tiers.subjects import tokens
from stepdown.artifacts import ArtifactRef, sha256_of
from stepdown.candidate import SUBJECTS_FILE, Candidate
from stepdown.config.consent import ConsentRegister, Consents
from stepdown.keyring import load_keyring
from stepdown.operations.recheck import follow_register
from stepdown.release.ledger.addresses import Series
from stepdown.release.ledger.records import EventKind
from stepdown.vocabulary import ReleaseState, Tier

KEY = "wells/subjects/1"


class AskedCase(Case):
    """A dataset with a register, in which who is not listed may stay."""

    def candidate(self, *args, **kwargs) -> Candidate:
        made = super().candidate(*args, **kwargs)
        keyring = load_keyring(self.workspace.keyring, [KEY], may_create=[KEY])
        held = pa.table({KEY: sorted(tokens(keyring, "wells", ["P", "R"]))})
        pq.write_table(held, Path(made.folder) / SUBJECTS_FILE)
        return made

    def register(self, **answers: str) -> None:
        path = self.root / "register.parquet"
        said = {tier.value: list(answers.values()) for tier in Tier}
        pq.write_table(pa.table({"subject": list(answers), **said}), path)
        consents = Consents(ArtifactRef(str(path), sha256_of(path), len(answers)), clock.today())
        asked = ConsentRegister.model_validate(
            {
                "source": {"path": "register.parquet"},
                "columns": {"tiers": "tiers"},
                "unknown": "keep",
                "because": "asked on paper",
            }
        )
        config = self.loaded.config.model_copy(update={"consent": asked})
        self.loaded = replace(self.loaded, config=config, consents=consents)


@pytest.mark.parametrize("damage", ["", "DROP INDEX one_published", "DROP TABLE events"])
def test_who_withdrew_is_found_by_a_ledger_that_forgot_the_key(tmp_path: Path, damage: str) -> None:
    case = AskedCase(tmp_path)
    case.register(P="agreed", R="agreed")
    case.submit(Tier.INTERNAL)
    with case.ledger.writing() as writer:
        series = Series("wells", Tier.INTERNAL)
        writer.append(EventKind.KEY, series, None, "tester", {"name": KEY})
    case.register(P="withdrawn", R="agreed")
    with closing(sqlite3.connect(case.workspace.root / "ledger.db")) as connection:
        connection.executescript(damage)
    found = follow_register(case.workspace, case.store, case.loaded, "tester")
    assert found.without == {"wells/internal/v1": 1}
    assert case.state("wells/internal/v1") is ReleaseState.SUSPENDED
