from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from all_documents import write_documents
from attack_case import green_attacks
from governance_case import govern, key_of, words
from opening import measured

from stepdown.anonymise.tiers.derive import derive_tier
from stepdown.anonymise.tiers.keys import keys_needed
from stepdown.anonymise.tiers.tier_rows import TierRows
from stepdown.candidate import Candidate
from stepdown.config import LoadedConfig, load_config, tier_policy
from stepdown.ingest import ingest
from stepdown.keyring import Keyring
from stepdown.opened import open_source
from stepdown.operations.verify import verify
from stepdown.release.decisions.approvals import approve
from stepdown.release.decisions.withdraw import withdraw
from stepdown.release.documents.documents import tier_report
from stepdown.release.documents.gate import judge
from stepdown.release.ledger.ledger import open_ledger
from stepdown.release.ledger.store import Store, open_store
from stepdown.release.publishing.submit import submit
from stepdown.release.reading.catalogue import find_release
from stepdown.release.requirements.publisher_key import sign_document
from stepdown.reports import Verdict
from stepdown.risk.assess import assess_risk
from stepdown.signing import load_key, make_key
from stepdown.vocabulary import Tier
from stepdown.workspace import Workspace, open_workspace

CONFIG = """
dataset: wells
title: People and the wells they use
contact: steward@example.org
source: {path: raw.csv}
columns:
  zeal: {role: subject}
  age: {role: quasi_identifier, type: integer, hierarchy: {intervals: [{width: 10}, {width: 20}]}}
  illness: {role: sensitive}
tiers:
  internal: {}
  partner: {sign_off: {roles: [owner], people: 1}}
"""
AS_OF = dt.date(2026, 11, 1)


@pytest.fixture
def root(prepared: Callable[..., Path]) -> Path:
    """Where internal and partner lie, ingested, derived, measured and published for real."""
    return prepared(release_both)


@pytest.fixture
def places(root: Path) -> tuple[Workspace, Store]:
    store = str(root / "store")
    return open_workspace(root / "work", store), open_store(store)


def release_both(root: Path) -> None:
    root.mkdir()
    rows = [f"P{n:06d},{20 + n % 20},{'ab'[n % 2]}" for n in range(400)]
    (root / "raw.csv").write_text("\n".join(["zeal,age,illness", *rows]) + "\n")
    (root / "wells.yaml").write_text(CONFIG)
    govern(root, "wells")
    loaded = load_config(root / "wells.yaml")
    workspace = open_workspace(root / "work", str(root / "store"))
    store = open_store(str(root / "store"))
    internal = release_tier(loaded, workspace, store, Tier.INTERNAL, None)
    release_tier(loaded, workspace, store, Tier.PARTNER, internal)
    approve(workspace, store, "wells/partner/v1", key_of("owner"), words("owner"))


def release_tier(
    loaded: LoadedConfig,
    workspace: Workspace,
    store: Store,
    tier: Tier,
    parent: Candidate | None,
) -> Candidate:
    snapshot = ingest(loaded, workspace).ref
    keyring = Keyring({name: bytes(32) for name in keys_needed(loaded.config)})
    folder = workspace.candidate("wells", "run-1", tier)
    with (
        open_source(snapshot, loaded, workspace.scratch) as source,
        TierRows(source, tier, parent) as rows,
    ):
        candidate = derive_tier(rows, keyring, folder)
    above = parent.data if parent else snapshot
    risk = measured(assess_risk, candidate, above, snapshot, loaded)
    risk = replace(risk, attacks=green_attacks(candidate.data.sha256))
    policy = tier_policy(loaded.config, tier)
    suite = (Verdict("suite_check", True, "as expected"),)
    decision = judge(candidate.report, risk, suite, policy, candidate.data.sha256)
    assert decision.reasons == ()
    report = tier_report(loaded, candidate, risk)
    address = "wells/internal/v1" if parent else None
    submit(
        workspace,
        store,
        loaded,
        candidate,
        write_documents(loaded, candidate, report, decision, AS_OF),
        run="run-1",
        as_of=AS_OF,
        parent=address,
        actor="tester",
    )
    return candidate


def _verified(workspace: Workspace | None, store: Store, address: str) -> dict[str, Any]:
    return verify(store, address, workspace).as_json()


def test_a_sound_release_has_no_problem_and_nothing_unchecked(
    places: tuple[Workspace, Store],
) -> None:
    for tier in ("internal", "partner"):
        assert _verified(*places, f"wells/{tier}/latest") == {
            "release": f"wells/{tier}/v1",
            "ok": True,
            "problems": [],
            "not_checked": [],
        }


def test_without_the_workspace_it_says_what_it_could_not_check(
    places: tuple[Workspace, Store],
) -> None:
    answer = _verified(None, places[1], "wells/partner/v1")
    assert answer["ok"]
    assert "values against the parent" in answer["not_checked"]


@pytest.mark.parametrize(
    "name",
    ["data/part-00000.parquet", "manifest.json", "report.html", "report.json", "datapackage.json"],
)
def test_a_flipped_byte_of_any_file_is_a_problem(
    places: tuple[Workspace, Store], root: Path, name: str
) -> None:
    path = root / "store/wells/partner/v1" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    for workspace in (None, places[0]):
        answer = _verified(workspace, places[1], "wells/partner/v1")
        assert not answer["ok"]
        assert name in answer["problems"][0]


def test_a_file_too_many_or_too_few_is_a_problem(
    places: tuple[Workspace, Store], root: Path
) -> None:
    folder = root / "store/wells/partner/v1"
    (folder / "lineage.parquet").write_bytes(b"")
    (folder / "report.json").unlink()
    assert _verified(None, places[1], "wells/partner/v1")["problems"] == [
        "report.json is missing",
        "lineage.parquet is not in the manifest",
    ]


def test_a_manifest_and_data_that_were_both_replaced_still_differ_from_the_ledger(
    places: tuple[Workspace, Store], root: Path
) -> None:
    folder = root / "store/wells/partner/v1"
    manifest = json.loads((folder / "manifest.json").read_text()) | {"title": "forged"}
    raw = json.dumps(manifest).encode()
    (folder / "manifest.json").write_bytes(raw)
    document = json.loads((folder / "release.json").read_text())
    document["manifest_sha256"] = hashlib.sha256(raw).hexdigest()
    (folder / "release.json").write_text(json.dumps(document))
    told = _verified(None, places[1], "wells/partner/v1")["problems"]
    assert told == ["release.json carries no signature that holds"]
    forger = make_key()
    (folder / "release.json").write_text(json.dumps(sign_document(forger, document)))
    assert _verified(None, places[1], "wells/partner/v1")["ok"]
    publisher = load_key(places[0].root / "publisher.key").public
    told = list(verify(places[1], "wells/partner/v1", publisher=publisher).problems)
    assert told == ["release.json is signed, but not by the publisher"]
    assert _verified(*places, "wells/partner/v1")["problems"] == [
        "release.json is signed, but not by the publisher",
        "release.json names another manifest than the ledger recorded",
    ]


def test_a_lineage_that_is_not_the_one_bound_to_the_data_is_a_problem(
    places: tuple[Workspace, Store],
) -> None:
    release = find_release(open_ledger(places[0]), "wells/partner/v1")
    path = Path(release.folder) / "lineage.parquet"
    pq.write_table(pq.read_table(path).slice(0, 1), path)
    answer = _verified(*places, "wells/partner/v1")
    assert not answer["ok"]
    assert "lineage.parquet" in answer["problems"][0]


def _change(file: Path, *path: str, to: object) -> None:
    facts = inside = json.loads(file.read_bytes())
    for name in path[:-1]:
        inside = inside[name]
    inside[path[-1]] = to
    file.write_text(json.dumps(facts))


def test_the_chain_to_the_tier_above_is_told_by_workspace_and_ledger_alone(
    places: tuple[Workspace, Store], root: Path
) -> None:
    above = open_ledger(places[0])
    release, parent = (find_release(above, f"wells/{t}/v1") for t in ("partner", "internal"))
    judged = release.terms["judged"]
    assert judged["parent_data_sha256"] == parent.data_sha256
    for file in (root / "store/wells/partner/v1").rglob("*"):
        if file.is_file():
            for withheld in ("parent_data_sha256", "config_sha256", "report_sha256"):
                assert judged[withheld].encode() not in file.read_bytes()
    folder = Path(release.folder)
    kept = {name: (folder / name).read_bytes() for name in ("tier-report.json", "config.json")}
    _change(folder / "tier-report.json", "derive", "parent_sha256", to="0" * 64)
    told = _verified(*places, "wells/partner/v1")["problems"]
    assert told
    assert "not the report that the ledger recorded" in told[0]
    (folder / "tier-report.json").write_bytes(kept["tier-report.json"])
    # Of a column that is not released: no published hash covers it, the ledger's does.
    _change(folder / "config.json", "config", "columns", "zeal", "description", to="forged")
    told = _verified(*places, "wells/partner/v1")["problems"]
    assert told
    assert "not the config that the ledger recorded" in told[0]
    (folder / "config.json").write_bytes(kept["config.json"])
    assert _verified(*places, "wells/partner/v1")["ok"]


def test_what_is_no_longer_kept_is_named_as_not_checked(
    places: tuple[Workspace, Store],
) -> None:
    for snapshot in places[0].snapshots.iterdir():
        snapshot.unlink()
    answer = _verified(*places, "wells/partner/v1")
    assert answer["ok"]
    assert any("values against the parent" in text for text in answer["not_checked"])


def test_a_withdrawn_release_is_verified_as_a_tombstone(
    places: tuple[Workspace, Store], root: Path
) -> None:
    withdraw(*places, "wells/partner/v1", reason="a mistake", actor="Ann")
    assert _verified(*places, "wells/partner/v1")["ok"]
    (root / "store/wells/partner/v1/data").mkdir()
    (root / "store/wells/partner/v1/data/part-00000.parquet").write_bytes(b"left")
    assert not _verified(*places, "wells/partner/v1")["ok"]
