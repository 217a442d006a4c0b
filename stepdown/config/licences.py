"""Recognise licences by their SPDX ids, and suggest the closest to a mistake."""

from __future__ import annotations

import re
from difflib import get_close_matches

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

COMMON = ("CC-BY-4.0", "CC0-1.0", "ODbL-1.0")
FOR_DATA = (
    *COMMON,
    *("CC-BY-3.0", "CC-BY-3.0-IGO", "CC-BY-SA-3.0", "CC-BY-SA-4.0", "CC-BY-ND-4.0"),
    *("CC-BY-NC-4.0", "CC-BY-NC-SA-3.0-IGO", "CC-BY-NC-SA-4.0", "CC-BY-NC-ND-4.0", "CC-PDM-1.0"),
    *("ODC-By-1.0", "PDDL-1.0", "CDLA-Permissive-2.0", "CDLA-Sharing-1.0", "O-UDA-1.0"),
    *("C-UDA-1.0", "OGL-UK-3.0", "DL-DE-BY-2.0", "DL-DE-ZERO-2.0", "etalab-2.0", "NLOD-2.0"),
)
"""Licences that people give data; what a misspelled one is compared with."""

_PAGES = "https://spdx.org/licenses/"
_LISTED = re.compile(r"(?!LicenseRef-)[A-Za-z0-9.-]+")


def spdx_expression(text: str) -> str | None:
    """An SPDX licence expression as the list spells it; None where it is none.

    Source: SPDX 3 annex B, https://spdx.github.io/spdx-spec/v3.0.1/annexes/spdx-license-expressions/

    >>> spdx_expression("cc-by-4.0"), spdx_expression("cc by 4.0")
    ('CC-BY-4.0', None)
    """
    try:
        return str(canonicalize_license_expression(text))
    except InvalidLicenseExpression:
        return None


def spdx_url(text: str) -> str | None:
    """The page of one listed licence; None for several, for terms of one's own, and for none.

    >>> spdx_url("CC0-1.0"), spdx_url("LicenseRef-House"), spdx_url("CC0-1.0 OR MIT")
    ('https://spdx.org/licenses/CC0-1.0', None, None)
    """
    listed = spdx_expression(text) == text and _LISTED.fullmatch(text)
    return f"{_PAGES}{text}" if listed else None


def closest(text: str) -> tuple[str, ...]:
    """Up to three licences for data that somebody may have meant; the common ones in doubt.

    >>> closest("CC-BY-4")[0]
    'CC-BY-4.0'
    """
    spelled = {name.lower(): name for name in FOR_DATA}
    found = get_close_matches(re.sub(r"[\s_]+", "-", text.lower()), spelled, cutoff=0.7)
    return tuple(spelled[name] for name in found) or COMMON
