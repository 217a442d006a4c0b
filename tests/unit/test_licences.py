from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from metadata_case import CONFIG, write_release
from packaging.licenses import canonicalize_license_expression

from stepdown.config import load_config, tier_policy
from stepdown.config.licences import FOR_DATA, spdx_url
from stepdown.errors import ConfigInvalid
from stepdown.vocabulary import Tier

AGES = {"age": pa.array(["[20, 25)"] * 2)}


def load(folder: Path, before: str = "", after: str = ""):
    path = folder / "wells.yaml"
    path.write_text(CONFIG.replace(before, after), encoding="utf-8")
    return load_config(path).config


def refusal(folder: Path, before: str, after: str) -> str:
    with pytest.raises(ConfigInvalid) as caught:
        load(folder, before, after)
    return str(caught.value)


def test_public_without_a_licence_is_refused_and_common_ones_are_named(tmp_path: Path) -> None:
    message = refusal(tmp_path, "licence: CC-BY-4.0, ", "")
    assert "tiers.public.licence: a public release needs a licence" in message
    assert "CC-BY-4.0, CC0-1.0, ODbL-1.0" in message


@pytest.mark.parametrize("misspelled", ["CC-BY-4", "cc by 4.0", "CC BY 4.0", "CC-BY4.0"])
def test_a_misspelled_licence_of_public_is_refused_with_what_it_is_closest_to(
    tmp_path: Path, misspelled: str
) -> None:
    message = refusal(tmp_path, "CC-BY-4.0", misspelled)
    assert f"{misspelled} is no SPDX licence id; known are CC-BY-4.0" in message


def test_the_name_of_an_agreement_is_no_licence_for_everybody(tmp_path: Path) -> None:
    message = refusal(tmp_path, "CC-BY-4.0", "Data sharing agreement")
    assert "CC-BY-4.0, CC0-1.0, ODbL-1.0, and LicenseRef-NAME" in message


@pytest.mark.parametrize(
    ("stated", "spelled", "url"),
    [
        ("cc-by-4.0", "CC-BY-4.0", "https://spdx.org/licenses/CC-BY-4.0"),
        ("CC-BY-4.0 or ODbL-1.0", "CC-BY-4.0 OR ODbL-1.0", None),
        ("LicenseRef-House-Terms", "LicenseRef-House-Terms", None),
    ],
)
def test_a_licence_is_spelled_as_the_list_spells_it(
    tmp_path: Path, stated: str, spelled: str, url: str | None
) -> None:
    licence = tier_policy(load(tmp_path, "CC-BY-4.0", stated), Tier.PUBLIC).licence
    assert licence == spelled
    assert spdx_url(spelled) == url


def test_the_tiers_above_may_name_terms_of_their_own(tmp_path: Path) -> None:
    config = load(tmp_path, "{partner: {}", "{partner: {licence: Data sharing agreement}")
    assert tier_policy(config, Tier.PARTNER).licence == "Data sharing agreement"


def test_every_licence_that_is_suggested_is_on_the_list() -> None:
    assert [name for name in FOR_DATA if canonicalize_license_expression(name) != name] == []


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("0000-0002-1825-0097", "0000-0002-1825-0098", "no ORCID iD"),
        ("0000-0002-1825-0097", "'0000000218250097'", "no ORCID iD"),
        ("kind: organisation", "kind: organisation, orcid: 0000-0002-1825-0097", "a person's"),
        ("doi: 10.5281/zenodo.1", "doi: 'https://doi.org/10.5281/zenodo.1'", "public.doi"),
        ("kind: organisation", "kind: board", "creators"),
    ],
)
def test_what_would_cite_somebody_wrongly_is_refused(
    tmp_path: Path, before: str, after: str, said: str
) -> None:
    assert said in refusal(tmp_path, before, after)


def test_an_orcid_may_end_in_x(tmp_path: Path) -> None:
    # 0000-0002-1694-233X is the example of ISO 7064 in ORCID's documentation.
    config = load(tmp_path, "0000-0002-1825-0097", "0000-0002-1694-233X")
    assert config.creators[0].orcid == "0000-0002-1694-233X"


def test_an_expression_is_told_by_name_and_not_by_a_page_of_one_of_its_parts(
    tmp_path: Path,
) -> None:
    text = CONFIG.replace("CC-BY-4.0", "CC-BY-4.0 OR ODbL-1.0")
    release, described = write_release(tmp_path / "r", AGES, text)
    assert described.licence is not None
    assert (described.licence.is_spdx, described.licence.url) == (True, None)
    for name in ("croissant.json", "datacite.json", "dcat.jsonld", "datapackage.json"):
        written = (release / name).read_text()
        assert "CC-BY-4.0 OR ODbL-1.0" in written
        assert "licenses/CC-BY" not in written
