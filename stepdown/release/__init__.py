"""Gate, store, manifest, ledger, approvals."""
