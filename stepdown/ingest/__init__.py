"""From a source to a pinned, typed snapshot."""

from stepdown.ingest.snapshot import Snapshot, SourceSummary, check_source, ingest

__all__ = ["Snapshot", "SourceSummary", "check_source", "ingest"]
