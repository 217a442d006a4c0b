"""Keep the append-only ledger of releases, and the store of their files."""
