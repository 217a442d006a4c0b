from __future__ import annotations

import duckdb
import numpy as np
import pytest

from stepdown.anonymise.lattice.packed_keys import pack, packing, sorting_order

SIZES = [
    [3, 5],
    [1],
    [1 << 31, 1 << 31],
    [1 << 31, 1 << 31, 2],
    [100_000] * 9,
    [0, 7],
]


@pytest.mark.parametrize("sizes", SIZES)
def test_codes_come_back_from_their_keys_and_keys_are_in_the_order_of_the_codes(sizes):
    chance = np.random.default_rng(1)
    codes = [chance.integers(0, max(size, 1), 1000, dtype=np.int64) for size in sizes]
    packed = packing(sizes)
    keys = pack(packed, codes)
    assert len(keys) == packed.count
    assert min(int(key.min()) for key in keys) >= 0
    back = packed.unpack(keys)
    for code, found in zip(codes, back, strict=True):
        assert found.dtype == np.int32
        assert (found == code).all()
    order = sorting_order(keys)
    rows = list(zip(*(code[order].tolist() for code in codes), strict=True))
    assert rows == sorted(rows)


def test_a_product_up_to_2_to_the_62_takes_one_integer_and_beyond_it_two():
    assert packing([1 << 31, 1 << 31]).count == 1
    assert packing([1 << 31, 1 << 31, 2]).count == 2
    assert packing([]).count == 0


@pytest.mark.parametrize("sizes", SIZES)
def test_the_engine_packs_and_unpacks_alike(sizes):
    top = [max(size, 1) - 1 for size in sizes]
    packed = packing(sizes)
    words = packed.sql([str(code) for code in top])
    keys = duckdb.sql(f"SELECT {', '.join(words)}").fetchall()[0]
    assert [int(key[0]) for key in pack(packed, [np.array([code]) for code in top])] == list(keys)
    back = [
        packed.unpack_sql(f"CAST({keys[word]} AS BIGINT)", place)
        for place, word in enumerate(packed.words)
        if sizes[place]
    ]
    assert list(duckdb.sql(f"SELECT {', '.join(back)}").fetchall()[0]) == [
        code for code, size in zip(top, sizes, strict=True) if size
    ]
