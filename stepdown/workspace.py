"""Open the steward's own folder, which is never served, and say where each thing is in it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stepdown.errors import ConfigInvalid, TransientError, WorldFailed
from stepdown.file_lock import lock


@dataclass(frozen=True)
class Workspace:
    """Mode 0700. Holds snapshots, candidates, lineage, refusals, the ledger and the keyring."""

    root: Path

    @property
    def snapshots(self) -> Path:
        return self.root / "snapshots"

    @property
    def candidates(self) -> Path:
        return self.root / "candidates"

    @property
    def refusals(self) -> Path:
        return self.root / "refusals"

    @property
    def ledger_url(self) -> str:
        return os.environ.get("STEPDOWN_LEDGER", f"sqlite:///{self.root / 'ledger.db'}")

    @property
    def keyring(self) -> Path:
        return self.root / "keyring.json"

    @property
    def memory(self) -> Path:
        return self.root / "memory"

    @property
    def consent(self) -> Path:
        return self.root / "consent"

    @property
    def scratch(self) -> Path:
        return self.root / "scratch"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @contextmanager
    def only_run(self, dataset: str) -> Iterator[None]:
        """Hold the dataset for one run; the system lets go of it when the process dies.

        Raises:
            TransientError: another process holds it.
            WorldFailed: there are no locks here.
        """
        # Not "<dataset>.lock": a dataset may be called what another lock of the workspace is.
        path = self.root / f"run-{dataset}.lock"
        with open(path, "ab") as file:
            if not lock(file.fileno(), path):
                raise TransientError(
                    "another run of this dataset is under way",
                    where=dataset,
                    next="Wait until it has ended.",
                )
            yield

    def candidate(self, dataset: str, run: str, tier: str, recipient: str | None = None) -> Path:
        """Folder of one tier's candidate in one run."""
        folder = self.candidates / dataset / run / tier
        return folder / recipient if recipient else folder


def open_workspace(root: str | Path, store: str) -> Workspace:
    """The workspace at ``root``, made with mode 0700 where it does not exist.

    Raises:
        ConfigInvalid: the store is inside the workspace or the other way round.
        WorldFailed: the folder cannot be made, or kept from others.
    """
    path = Path(root).expanduser().resolve()
    if "://" not in store or store.startswith("file://"):
        other = Path(store.removeprefix("file://")).expanduser().resolve()
        if path == other or path in other.parents or other in path.parents:
            raise ConfigInvalid(
                f"the store {other} and the workspace are inside one another",
                where=str(path),
                next="Give --work and --store two folders side by side.",
            )
    workspace = Workspace(path)
    try:
        for folder in (
            path,
            workspace.snapshots,
            workspace.candidates,
            workspace.refusals,
            workspace.runs,
            workspace.scratch,
        ):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
        is_open = stat.S_IMODE(path.stat().st_mode) & 0o077
    except OSError as error:
        raise WorldFailed(
            f"cannot make the workspace ({error.strerror})",
            where=str(path),
            next="Choose another folder with --work or STEPDOWN_WORK.",
        ) from None
    if is_open:  # a file system without modes, or Windows, where they say nothing
        raise WorldFailed(
            "others may read the workspace, and no mode keeps them out here",
            where=str(path),
            next="Choose a folder on a file system with Unix modes, by --work or STEPDOWN_WORK.",
        )
    return workspace
