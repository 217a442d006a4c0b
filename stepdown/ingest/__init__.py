"""Read a source into a pinned, typed snapshot."""

from stepdown.ingest.consent import consent_verdicts, read_consent
from stepdown.ingest.snapshot import Snapshot, SourceSummary, check_source, ingest

__all__ = [
    "Snapshot",
    "SourceSummary",
    "check_source",
    "consent_verdicts",
    "ingest",
    "read_consent",
]
