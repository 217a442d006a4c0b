"""Whether the ledger is still what was written into it."""

from __future__ import annotations

from stepdown.release.ledger import FIRST_HASH, Ledger, line_hash


def verify_chain(ledger: Ledger) -> tuple[str, ...]:
    """What is wrong with the ledger; empty where every line follows from the one before.

    Finds changed, missing and reordered lines, and a release whose state, hashes or signatures no
    line accounts for.
    """
    problems = []
    previous_hash, states = FIRST_HASH, {}
    with ledger.reading() as reader:
        events, releases = reader.events(), reader.releases()
        as_written = {release.id: reader.is_as_written(release) for release in releases}
    for expected, line in enumerate(events, start=1):
        if line["seq"] != expected or line["previous_hash"] != previous_hash:
            problems.append(f"line {line['seq']} does not follow the line before it")
        if line_hash(line) != line["hash"]:
            problems.append(f"line {line['seq']} was changed after it was written")
        previous_hash = line["hash"]
        if line["version"] and "state" in line["facts"]:
            series = (line["dataset"], line["tier"], line["recipient"], line["version"])
            states[series] = line["facts"]["state"]
    for release in releases:
        key = (release.dataset, release.tier.value, release.recipient or "", release.version)
        if release.version and states.get(key) != release.state.value:
            problems.append(f"{release.address} is {release.state}, and no line says so")
        if release.version and not as_written[release.id]:
            problems.append(f"{release.address} has other hashes or signatures than its lines say")
    return tuple(problems)
