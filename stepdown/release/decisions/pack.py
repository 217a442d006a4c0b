"""Pack a waiting release's documents, never its data, for a reviewer or signer."""

from __future__ import annotations

import json
from pathlib import Path

from stepdown.artifacts import write_durably
from stepdown.errors import InputWrong, MoveForbidden, WorldFailed
from stepdown.release.decisions.approvals import TO_SIGN, write_pack_list
from stepdown.release.decisions.sanity_check import signed_answer
from stepdown.release.documents.manifest import MANIFEST, check_candidate
from stepdown.release.ledger.ledger import open_ledger
from stepdown.release.ledger.locks import exclusively
from stepdown.release.ledger.records import NTH_CANDIDATE, EventKind, Release
from stepdown.release.ledger.statements import Signed
from stepdown.release.reading.catalogue import find_release
from stepdown.release.requirements.outside_reviews import asked_of, review_statement
from stepdown.signing import SigningKey
from stepdown.vocabulary import ReleaseState
from stepdown.workspace import Workspace

README = "README.txt"


def make_pack(workspace: Workspace, address: str, folder: Path, *, actor: str) -> list[str]:
    """Copy a waiting release's published documents into a new folder.

    The report, the metadata and the manifest go in, and what they are signed as. Data and the
    steward's pages do not.

    Returns:
        names of the files.

    Raises:
        ReleaseUnknown: no such release.
        MoveForbidden: it does not wait.
        InputWrong: the folder is there already and not empty, or is in the workspace.
        StoreCorrupt: a document is missing or changed since it was judged.
    """
    _check_folder(workspace, folder)
    with exclusively(workspace):
        ledger = open_ledger(workspace)
        release = find_release(ledger, address)
        if release.state is not ReleaseState.AWAITING_APPROVAL:
            raise MoveForbidden(
                f"it is {release.state}, and only what waits is reviewed",
                where=release.address,
                next="`stepdown releases` shows which ones wait.",
            )
        candidate = Path(release.folder)
        manifest = check_candidate(candidate, release.manifest_sha256 or "")
        names = [name for name in (*manifest.files, MANIFEST) if not name.endswith(".parquet")]
        contents = {name: (candidate / name).read_bytes() for name in sorted(names)}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, content in contents.items():
                write_durably(folder / name, content)
            write_pack_list(release, folder)
            write_durably(folder / README, _readme(release).encode())
        except OSError as error:
            raise WorldFailed(f"cannot be written ({error.strerror})", where=str(folder)) from None
        made = [*contents, README, TO_SIGN]
        with ledger.writing() as writer:
            writer.note(EventKind.PACKED, release, actor, {"files": made})
    return made


def answer_pack(folder: Path, key: SigningKey, name: str, answer: str, reason: str) -> Signed:
    """A reviewer's answer about the documents in a folder, after they were hashed again.

    Raises:
        InputWrong: the folder is none that ``make_pack`` made, or the answer is none.
        StoreCorrupt: a document in it is not the one that the answer would be about.
    """
    try:
        bound = json.loads((folder / TO_SIGN).read_bytes())
        release, sha256 = str(bound["release"]), str(bound["manifest_sha256"])
        candidate = int(bound.get(NTH_CANDIDATE, 1))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InputWrong(
            "is not a folder to answer about",
            where=str(folder),
            next="Ask for one: `stepdown pack`.",
        ) from None
    check_candidate(folder, sha256, documents_only=True)
    return signed_answer(review_statement(release, sha256, candidate), key, name, answer, reason)


def _check_folder(workspace: Workspace, folder: Path) -> None:
    inside = workspace.root in folder.resolve().parents
    if inside or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise InputWrong(
            "is in the workspace" if inside else "is there already and is not empty",
            where=str(folder),
            next="Name a new folder elsewhere.",
        )


def _readme(release: Release) -> str:
    asked = asked_of(release)
    roles = ", ".join(release.sign_off.get("roles", [])) or "ROLE"
    lines = [
        f"{release.address}: {release.terms['title']}",
        "",
        "Open report.html. It says what is to be released, to whom, and at what risk. The data are",
        "not here. Questions, and what you find: " + str(release.terms["contact"]),
        "",
        "Run what follows in this folder's parent, with your own private key, and send back the",
        "file that it writes. It signs the hashes of exactly these documents; change none.",
    ]
    if asked:
        lines += [
            "",
            f"If you were asked for a review ({', '.join(asked.reviewers)}):",
            "",
            '  stepdown answer FOLDER --key YOUR.key --name "YOUR NAME" --answer fine \\',
            '    --reason "WHAT YOU LOOKED AT" -o answer.json',
            "",
            "If something is wrong, answer `objection` and say what; it is not released until you",
            "take that back with a newer answer.",
        ]
    lines += [
        "",
        f"If you sign it ({roles}):",
        "",
        '  stepdown sign FOLDER --key YOUR.key --name "YOUR NAME" --role ROLE \\',
        '    --reason "WHY" -o decision.json',
        "",
    ]
    return "\n".join(lines)
