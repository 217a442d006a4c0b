"""Sign an assessment in a workspace, record it, and let what waited for it go on."""

from __future__ import annotations

from stepdown.config.governance import Governance
from stepdown.release.ledger.addresses import Series
from stepdown.release.ledger.ledger import open_ledger
from stepdown.release.ledger.locks import exclusively
from stepdown.release.ledger.records import EventKind
from stepdown.release.ledger.statements import Signed
from stepdown.release.ledger.store import Store
from stepdown.release.publishing.commit import advance
from stepdown.release.publishing.recovery import recover_held
from stepdown.release.requirements.assessments import sign_assessment
from stepdown.signing import SigningKey
from stepdown.vocabulary import Tier
from stepdown.workspace import Workspace


def sign_and_record(
    workspace: Workspace, store: Store, governance: Governance, dataset: str, key: SigningKey
) -> Signed:
    """Sign a dataset's assessment and note who assessed what; none of the answers is noted.

    Raises:
        As ``sign_assessment``.
    """
    with exclusively(workspace):
        ledger = open_ledger(workspace)
        recover_held(ledger, store)
        signed = sign_assessment(governance, dataset, key)
        name = str(signed.statement["name"])
        with ledger.writing() as writer:
            series = Series(dataset, Tier.PUBLIC)
            writer.append(EventKind.ASSESSMENT, series, None, name, signed.as_json())
        advance(ledger, store, name)
    return signed
