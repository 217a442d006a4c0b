"""Name what a file's own types mean, whatever their width, unit or encoding."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa


def native_family(kind: pa.DataType) -> str:
    """What a native type means, whatever its width, unit or encoding.

    >>> native_family(pa.int16()), native_family(pa.dictionary(pa.int8(), pa.string()))
    ('integer', 'string')
    """
    if pa.types.is_dictionary(kind):
        return native_family(kind.value_type)
    for family, belongs in _FAMILIES.items():
        if belongs(kind):
            return family
    if pa.types.is_timestamp(kind):
        return "timestamp with zone" if kind.tz else "timestamp"
    return str(kind)


_FAMILIES: dict[str, Callable[[pa.DataType], bool]] = {
    "empty": pa.types.is_null,
    "string": lambda t: (
        pa.types.is_string(t) or pa.types.is_large_string(t) or pa.types.is_string_view(t)
    ),
    "integer": pa.types.is_integer,
    "number": pa.types.is_floating,
    "decimal": pa.types.is_decimal,
    "boolean": pa.types.is_boolean,
    "date": pa.types.is_date,
}
