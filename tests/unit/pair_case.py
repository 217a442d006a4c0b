"""Two sources that differ only in what is withheld, released side by side by the real parts.

Prefect, the attacks and the suites are left out: of their verdicts only a limit, and that it was
kept, is published.
"""

from __future__ import annotations

import copy
import csv
import datetime as dt
import functools
import io
import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
from all_documents import write_documents
from attack_case import green_attacks
from governance_case import govern, key_of, words
from pair_kinds import LATER, Change, Row, consent_register, earlier_periods, people, same_people
from partner_case import write_partner

from stepdown import clock
from stepdown.anonymise.tiers.derive import derive_copy, derive_tier
from stepdown.anonymise.tiers.keys import keys_needed
from stepdown.anonymise.tiers.tier_rows import TierRows
from stepdown.candidate import Candidate
from stepdown.config import LoadedConfig, load_config, tier_policy, yaml_file
from stepdown.ingest import ingest, read_consent
from stepdown.keyring import Keyring
from stepdown.opened import open_candidate, open_source
from stepdown.release.decisions.approvals import approve
from stepdown.release.documents.documents import tier_report
from stepdown.release.documents.gate import judge
from stepdown.release.documents.manifest import data_entries
from stepdown.release.ledger.ledger import open_ledger
from stepdown.release.ledger.store import Store, open_store
from stepdown.release.publishing.submit import submit
from stepdown.release.reading.earlier_releases import ever_published
from stepdown.reports import Verdict
from stepdown.risk.assess import assess_risk
from stepdown.risk.measures.exposure import measure_exposure
from stepdown.sharing.routes import delta
from stepdown.utility import count_released_rows, measure_utility
from stepdown.vocabulary import Tier
from stepdown.workspace import open_workspace

NAMES = (
    "person", "household", "name", "note", "agreed", "sex", "age", "seen", "ill", "income",
    "visits", "weight",
)  # fmt: skip
CONFIG = """
dataset: wells
title: People and the wells they use
contact: steward@example.org
source: {path: raw.csv, tolerated_rejects: 0.1}
REGISTER
columns:
  person: {role: subject, partner: pseudonym}
  household: {role: household, internal: pseudonym, partner: drop}
  name: {role: direct_identifier, description: NOTE}
  note: {role: free_text}
  agreed: {role: AGREED, internal: drop}
  sex: {role: quasi_identifier, allowed: [f, m], hierarchy: {tree: {any: [f, m]}}}
  age: {role: quasi_identifier, type: integer, kind: age, between: [0, 110]}
  seen: {role: quasi_identifier, type: date}
  ill: {role: sensitive}
  INCOME: {role: sensitive, type: number, internal: drop}
  visits: {role: insensitive, because: counted by the clinic, type: integer, partner: drop}
  weight: {role: weight, type: number, partner: drop}
tiers:
  internal: {}
  partner:
    {recoding: RECODING, PERIOD because: a test, sign_off: {roles: [owner], people: 1}}
  public:
    {recoding: RECODING, PERIOD because: a test, licence: CC0-1.0,
     sign_off: {roles: [steward], people: 1}}
"""
REGISTER = """
consent:
  source: {path: register.csv}
  unknown: leave_out
  columns: {subject: who, expires: expires, tiers: tiers}
"""
NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
SIGNERS = {Tier.PARTNER: ("owner",), Tier.PUBLIC: ("steward",)}


@dataclass
class Side:
    """One source, and all that was published of it.

    Args:
        note: a description of a column that no tier releases. income: the name of another.
        register: consent is in a register, and no column says it.
        increments: below internal a version has only those who came since the one before.
    """

    root: Path
    recoding: str = "full-domain"
    note: str = "as told"
    income: str = "income"
    register: bool = False
    increments: bool = False
    copies: bool = True
    versions: int = 0
    candidates: dict[str, Candidate] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.root.mkdir(parents=True)
        govern(self.root, "wells")
        write_partner(self.root, "wells", ["person", "sex", "age", "ill"])
        text = CONFIG.replace("RECODING", self.recoding).replace("NOTE", self.note)
        text = text.replace("INCOME", self.income)
        text = text.replace("REGISTER", REGISTER if self.register else "")
        text = text.replace("AGREED", "free_text" if self.register else "consent")
        text = text.replace("PERIOD", "period: increment," if self.increments else "")
        (self.root / "wells.yaml").write_text(text)
        self.store: Store = open_store(str(self.root / "store"))
        self.workspace = open_workspace(self.root / "work", self.store.url)

    def release(self, rows: list[Row]) -> None:
        """Release the next version of everything, each a day after the one before."""
        with open(self.root / "raw.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(self.income if name == "income" else name for name in NAMES)
            writer.writerows([row[name] for name in NAMES] for row in rows)
        with open(self.root / "register.csv", "w") as file:
            print("who,given,withdrawn,expires,tiers", file=file)
            for row in rows:
                for line in row["consents"].splitlines():
                    print(row["person"], line, sep=",", file=file)
        self.versions += 1
        loaded = load_config(self.root / "wells.yaml")
        snapshot = ingest(loaded, self.workspace).ref
        if self.register:
            consents = read_consent(loaded, self.workspace, NOW.date())
            loaded = replace(loaded, consents=consents)
        names = keys_needed(loaded.config)
        keyring = Keyring({name: bytes([n]) * 32 for n, name in enumerate(sorted(names))})
        published = ever_published(open_ledger(self.workspace), self.workspace, "wells")
        made: dict[str, Candidate] = {}
        for name in RELEASES:
            if name == "partner/clinic" and not self.copies:
                continue
            tier = Tier(name.split("/")[0])
            recipient = "clinic" if "/" in name else None
            folder = self.workspace.candidate("wells", f"run-{self.versions}", tier, recipient)
            scratch = self.workspace.scratch
            above = made["partner"] if recipient else made.get(str(tier.parent))
            earlier = [each for each in published if each.is_of(tier, recipient)]
            with open_source(snapshot, loaded, scratch) as source:
                if recipient:
                    candidate = derive_copy(
                        source, recipient, made["partner"], made["internal"], keyring, folder,
                        earlier,
                    )  # fmt: skip
                else:
                    with TierRows(source, tier, above) as rows:
                        candidate = derive_tier(rows, keyring, folder, earlier)
            made[name] = candidate
            self._publish(loaded, snapshot, candidate, above, name, made)
        self.candidates = made

    @property
    def as_of(self) -> dt.date:
        return dt.date(2026, 11, self.versions)

    def _publish(
        self,
        loaded: LoadedConfig,
        snapshot: Any,
        candidate: Candidate,
        above: Candidate | None,
        name: str,
        made: dict[str, Candidate],
    ) -> None:
        parent = above.data if above else snapshot
        scratch = self.workspace.scratch
        scale = made["internal"].data if candidate.recipient else None
        with open_candidate(candidate, parent, snapshot, loaded, scratch, scale=scale) as opened:
            risk = assess_risk(opened)
            utility, exposure = measure_utility(opened), measure_exposure(opened)
            counted = count_released_rows(opened)
        risk = replace(risk, attacks=green_attacks(candidate.data.sha256))
        policy = tier_policy(loaded.config, candidate.tier)
        suite = (Verdict("suite_check", True, "as expected"),)
        decision = judge(candidate.report, risk, suite, policy, candidate.data.sha256)
        assert decision.reasons == (), (name, decision.reasons)
        report = replace(
            tier_report(loaded, candidate, risk),
            utility=utility,
            exposure=exposure,
            released=counted,
        )
        version = f"v{self.versions}"
        up = "partner" if candidate.recipient else candidate.tier.parent
        decision = write_documents(loaded, candidate, report, decision, self.as_of)
        done = submit(
            self.workspace, self.store, loaded, candidate, decision,
            run=f"run-{self.versions}", as_of=self.as_of,
            parent=f"wells/{up}/{version}" if up else None, actor="tester",
        )  # fmt: skip
        address = f"wells/{name}/{version}"
        assert done.outcome in ("published", "waiting"), (done, name)
        for role in SIGNERS.get(candidate.tier, ()):
            approve(self.workspace, self.store, address, key_of(role), words(role))

    def published(self, address: str) -> dict[str, bytes]:
        """Every file of a release and its time, the publisher's signature aside.

        What the server says of it is among them.
        """
        found = {}
        for path in self.store.files(address):
            name, content = path.removeprefix(address), self.store.read(path)
            if name == "/release.json":
                document = json.loads(content)
                content = json.dumps(
                    {k: v for k, v in document.items() if k not in UNEQUAL}
                ).encode()
            else:
                moment = (self.root / "store" / path).stat().st_mtime_ns
                found[f"time of {name}"] = str(moment).encode()
            found[name] = content
        return found | {"served": self._served(address)}

    def _served(self, address: str) -> bytes:
        with open_ledger(self.workspace).reading() as reader:
            release = next(r for r in reader.releases("wells") if r.address == address)
        manifest = json.loads(self.store.read(f"{address}/manifest.json"))
        table = delta.Table(delta.share_of(release), "wells", "latest", (release,))
        lines = []
        for form in (delta.PARQUET, delta.DELTA):
            lines.append(delta.metadata_line(form, table, release, manifest))
            for file in data_entries(manifest):
                lines.append(delta.file_line(form, release, manifest, file, "https://a", 1))
        return delta.lines(lines)


UNEQUAL = ("signature",)
RELEASES = ("internal", "partner", "partner/clinic", "public")
DATA = "/data/part-00000.parquet"


def differences(one: Side, other: Side) -> tuple[list[str], list[str]]:
    """Releases that agree in the rows, and what else of those was not published alike."""
    agree, unequal = [], []
    for version in range(1, min(one.versions, other.versions) + 1):
        for name in RELEASES:
            if name == "partner/clinic" and not (one.copies and other.copies):
                continue
            address = f"wells/{name}/v{version}"
            left, right = one.published(address), other.published(address)
            if _rows(left[DATA]) != _rows(right[DATA]):
                continue
            agree.append(f"{name}/v{version}")
            differ = {n for n in left.keys() | right.keys() if left.get(n) != right.get(n)}
            unequal += [f"{address}: {file}" for file in sorted(differ)]
    return agree, unequal


def _rows(file: bytes) -> Counter[tuple[Any, ...]]:
    """What a file holds, whatever its order, types and bytes: by this releases agree."""
    table = pq.read_table(io.BytesIO(file))
    columns = [table.column_names, *(column.to_pylist() for column in table.columns)]
    return Counter([tuple(columns[0]), *zip(*columns[1:], strict=True)])


def versions(seed: int, increments: bool = False) -> tuple[list[Row], list[Row]]:
    """The first version's rows, and those who came for the second."""
    chance = random.Random(seed)
    first = people(40 + seed % 7, 0, chance)
    if increments:
        return first, people(40 + seed % 5, 50_000, chance)
    return first, people(24 + seed % 5, 50_000, chance, (30,))


def release_side(
    folder: Path, seed: int, changes: Sequence[Change], recoding: str = "full-domain", *,
    later: bool = True, chance: int = 0, **said: Any,
) -> Side:  # fmt: skip
    """One source, changed in what is withheld, released in one version or two.

    Args:
        seed: of everybody who is in both sources of a pair. chance: of the changes.
        said: what the config says beside the recoding, as ``Side`` takes it.
    """
    first, newcomers = versions(seed, said.get("increments", False))
    side, draw = Side(folder, recoding, **said), random.Random(chance)
    for change in changes:
        if change.__name__ not in LATER:
            change(first, draw)
    side.release(first)
    if later:
        rows = first + newcomers
        for change in changes:
            if change.__name__ in LATER:
                change(rows, draw)
        side.release(rows)
    return side


def release_pair(
    folder: Path, seed: int, changes: Sequence[Change], recoding: str = "full-domain", *,
    later: bool = True, **said: Any,
) -> tuple[Side, Side]:  # fmt: skip
    """A source, and one with all of these changed; the config differs in a dropped column, too."""
    one = release_side(folder / "one", seed, [], recoding, later=later, **said)
    other = release_side(
        folder / "other", seed, changes, recoding,
        later=later, chance=seed, note="by their word", income="wages", **said,
    )  # fmt: skip
    return one, other


def config_for(change: Change) -> dict[str, bool]:
    """What the configs of a pair of this kind say, as ``Side`` takes it."""
    return {
        "register": change is consent_register,
        "increments": change is earlier_periods,
        # A copy with a pseudonym releases which rows are one person's.
        "copies": change is not same_people,
    }


@contextmanager
def one_engine(monkeypatch: Any) -> Iterator[None]:
    """Sessions are connections to one engine, and a YAML text is parsed once.

    Opening 112 engines and parsing 124 files is a third of what releasing a side costs.
    """
    engine, parse = duckdb.connect(), functools.cache(yaml_file._parse)
    with monkeypatch.context() as patch:
        patch.setattr(duckdb, "connect", lambda **_: engine.cursor())
        patch.setattr(yaml_file, "_parse", lambda text, path: copy.deepcopy(parse(text, path)))
        yield
    engine.close()


@contextmanager
def at_one_moment(monkeypatch: Any) -> Iterator[None]:
    """The clock stands still: when something was published is not withheld."""
    with monkeypatch.context() as patch:
        patch.setattr(clock, "now", lambda: NOW.isoformat(timespec="seconds"))
        patch.setattr(clock, "today", NOW.date)
        yield
