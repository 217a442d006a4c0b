"""Load the frozen lists of invented names, places and numbers that surrogates come from."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib.resources import files

from stepdown.config.treatments import SurrogateKind
from stepdown.errors import StoreCorrupt

POOL_SHA256: dict[SurrogateKind, str] = {
    "person_name": "5c50e37d0c4de4d23a05945b806d0e7fdb1e2e7d5c6fc6d50d150021f859e296",
    "first_name": "62e2f2973a94a5612c137ccaf9fa5e117f62ceb95c8698aef2a4a696a601afde",
    "last_name": "e5954bd11b1910715d5a0f854fdde949e0963ca5dfd455059b29594a388bb335",
    "email": "2917a53b43d1d0b14da1f9e39694010b86a6e60a972ccd748ad8bf7fabbe8611",
    "phone": "7890c5f61f60d960e99aff6116d9fedca081cc2d4210bd0d570691e21c74fdb5",
    "address": "4b8da1353582f07b7763a2105b7287e0c293396c33d05c72856469a4bcb983d9",
    "company": "7b0139918a6b7c4a29fc98e4ea34caa9894f43777fb53c047439e6e114822eff",
    "city": "d115681dbc13d75cbd2ce57d074c5d4c54a53d7915ddc696240cdf8821f0f6cc",
}
"""What every pool must be, byte for byte; ``make.py`` says how they came to be."""


@cache
def load_pool(kind: SurrogateKind) -> tuple[str, ...]:
    """The 5,000 entries of a kind, in their frozen order.

    Raises:
        StoreCorrupt: the installed file is not the one whose hash is recorded here.
    """
    content = (files(__name__) / f"{kind}.json").read_bytes()
    if hashlib.sha256(content).hexdigest() != POOL_SHA256[kind]:
        raise StoreCorrupt(
            f"the pool of {kind} surrogates is not the one this version was made with",
            where=f"{__name__}/{kind}.json",
            next="Install the package again.",
        )
    return tuple(json.loads(content))
