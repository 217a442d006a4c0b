"""Make the frozen pools: ``python tests/unit/make_pools.py FOLDER``.

Run it only to replace the pools, then copy the printed hashes into the ``__init__.py`` of
``stepdown/anonymise/pools``: another version of Faker gives other pools, and other pools give every
surrogate a new value.
"""

from __future__ import annotations

import json
import random
import re
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

from faker import Faker

from stepdown.artifacts import sha256_of

FAKER_VERSION = "40.54.0"
SIZE = 5_000
# fmt: off
LOCALES = (
    "cs_CZ", "da_DK", "de_AT", "de_DE", "en_GB", "en_IE", "en_IN", "en_NZ", "es_CO", "es_ES",
    "et_EE", "fi_FI", "fr_CH", "fr_FR", "ga_IE", "hr_HR", "hu_HU", "id_ID", "it_IT", "lt_LT",
    "lv_LV", "nl_NL", "no_NO", "pl_PL", "pt_PT", "ro_RO", "sk_SK", "sl_SI", "sv_SE", "sw",
    "tr_TR", "tw_GH", "yo_NG", "zu_ZA",
)
# fmt: on
FICTION = ("+44 1632 960", "+44 7700 900", "+44 20 7946 0", "+44 113 496 0", "+44 121 496 0")
"""Ranges of a thousand numbers that Ofcom keeps for radio and television drama."""
_NAME = re.compile(r"[^\W\d_]+(['’ -][^\W\d_]+)*")


def make_pools() -> dict[str, list[str]]:
    """The pools by kind, each of ``SIZE`` different entries in an order that says nothing."""
    first = _sample(_names(lambda fake: fake.first_name()))
    last = _sample(_names(lambda fake: fake.last_name()))
    fake = Faker("en_GB", use_weighting=False)
    fake.seed_instance(0)
    cities = _distinct(fake.city)
    streets = _distinct(fake.street_name)
    homes = [
        f"{random.Random(street).randint(1, 299)} {street}, {city}"
        for street, city in zip(streets, _sample(cities, seed=1), strict=True)
    ]
    return {
        "person_name": [f"{one} {other}" for one, other in zip(first, last, strict=True)],
        "first_name": first,
        "last_name": last,
        "email": _emails(first, _sample(last, seed=1)),
        "phone": _sample([f"{area}{n:03}" for area in FICTION for n in range(1000)]),
        "address": homes,
        "company": _distinct(fake.company),
        "city": cities,
    }


def write_pools(folder: Path) -> dict[str, str]:
    """Write one JSON list per kind; returns the SHA-256 of each file."""
    hashes = {}
    for kind, entries in make_pools().items():
        path = folder / f"{kind}.json"
        text = json.dumps(entries, ensure_ascii=False, indent=0)
        path.write_text(text + "\n", encoding="utf-8")
        hashes[kind] = sha256_of(path)
    return hashes


def _names(draw: Callable[[Faker], str]) -> list[str]:
    found: set[str] = set()
    for locale in LOCALES:
        fake = Faker(locale, use_weighting=False)
        fake.seed_instance(0)
        found |= {name for name in (draw(fake) for _ in range(3_000)) if _NAME.fullmatch(name)}
    return sorted(found)


def _distinct(draw: Callable[[], str]) -> list[str]:
    found: dict[str, None] = {}
    while len(found) < SIZE:
        found[draw().replace("\n", ", ")] = None
    return list(found)


def _emails(first: list[str], last: list[str]) -> list[str]:
    domains = ("example.org", "example.com", "example.net")
    return [
        f"{_ascii(one)}.{_ascii(other)}@{domains[i % 3]}"
        for i, (one, other) in enumerate(zip(first, last, strict=True))
    ]


def _ascii(name: str) -> str:
    spelled = name.lower().replace("ß", "ss").translate(str.maketrans("øłı", "oli"))
    plain = unicodedata.normalize("NFKD", spelled).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z]", "", plain)


def _sample(entries: list[str], seed: int = 0) -> list[str]:
    return random.Random(seed).sample(entries, SIZE)


if __name__ == "__main__":
    for _kind, _sha256 in write_pools(Path(sys.argv[1])).items():
        sys.stdout.write(f'    "{_kind}": "{_sha256}",\n')
