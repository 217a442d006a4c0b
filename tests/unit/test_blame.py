"""A refusal names the demands and the columns at fault, and what it advises is enough."""

from __future__ import annotations

import pyarrow as pa
import pytest

from stepdown.anonymise.models import PrivacyModels, SearchColumn, SensitiveColumn
from stepdown.anonymise.recode import anonymise_relation
from stepdown.engine import open_session
from stepdown.errors import Refused


def refused(table, columns, models, sensitive=(), suppression=0.0, **options):
    """The message and the advice of the refusal."""
    with open_session() as session:
        session.attach_arrow("t", pa.table(table))
        with pytest.raises(Refused) as caught:
            anonymise_relation(
                session,
                "t",
                [SearchColumn(name, None) for name in columns],
                models,
                sensitive=[SensitiveColumn(name) for name in sensitive],
                suppression=suppression,
                **options,
            )
    return caught.value.message, caught.value.next


def passes(table, columns, models, sensitive=(), suppression=0.0):
    with open_session() as session:
        session.attach_arrow("t", pa.table(table))
        anonymise_relation(
            session,
            "t",
            [SearchColumn(name, None) for name in columns],
            models,
            sensitive=[SensitiveColumn(name) for name in sensitive],
            suppression=suppression,
        )


SEX = ["f"] * 10 + ["m"] * 10
TABLE = {
    "sex": SEX,
    "district": ["a", "b"] * 9 + ["c", "a"],
    "ill": ["no"] * 9 + ["yes"] + ["no"] * 10,
}


def test_the_column_that_k_fails_on_is_named_and_dropping_it_is_enough():
    message, advice = refused(TABLE, ["sex", "district"], PrivacyModels(k=3))
    assert message == (
        "no generalisation meets the models: with every quasi-identifier at the coarsest level "
        "open to it, 1 of 20 records are in groups that fail (k = 3: 1), and 0 may be suppressed. "
        "What tells records apart there: district (3 values), sex (2 values)"
    )
    assert advice == (
        "Any one of these is enough: drop district, or let it go up to `*`; "
        "allow 5.0% of the records to be suppressed."
    )
    passes(TABLE, ["sex"], PrivacyModels(k=3))
    passes(TABLE, ["sex", "district"], PrivacyModels(k=3), suppression=0.05)


def test_the_sensitive_column_that_l_fails_on_is_named():
    message, advice = refused(TABLE, ["sex"], PrivacyModels(k=2, distinct_l=2), ["ill"])
    assert "(2 different values of ill: 10)" in message
    assert "k = 2" not in message
    assert "drop sex" in advice
    assert "drop ill, or recode it" in advice


def test_the_t_that_would_be_enough_is_enough():
    table = TABLE | {"ill": ["yes"] * 6 + ["no"] * 14}
    message, advice = refused(table, ["sex"], PrivacyModels(t=0.2), ["ill"])
    assert "t = 0.2 of ill: 20" in message
    # Among the women 0.6 are ill, of all 0.3.
    assert "allow t = 0.3 of ill" in advice
    passes(table, ["sex"], PrivacyModels(t=0.3), ["ill"])


def test_where_no_single_change_is_enough_the_fewest_columns_are_named():
    table = {"a": list(range(12)), "b": list(range(12)), "c": ["x", "y"] * 6}
    message, advice = refused(table, ["a", "b", "c"], PrivacyModels(k=4))
    assert "a (12 values), b (12 values), c (2 values)" in message
    assert advice == (
        "No single change is enough. Drop a and b, or let them go up to `*`: "
        "together that is enough."
    )
    passes(table, ["c"], PrivacyModels(k=4))


def test_a_demand_on_all_records_together_is_named():
    message, advice = refused(TABLE, ["sex"], PrivacyModels(expected_reidentifications=0.05))
    assert "expected re-identifications per record are 0.1000, limit 0.05" in message
    assert "allow 0.1 expected re-identifications a record" in advice
    assert "drop sex" in advice


def test_local_recoding_says_the_same():
    message, advice = refused(TABLE, ["sex", "district"], PrivacyModels(k=3), recoding="local")
    assert message.startswith("no local recoding meets the models, and it suppresses nothing: ")
    assert "(k = 3: 1)" in message
    assert "drop district" in advice


def test_no_value_is_in_a_refusal():
    table = TABLE | {"ill": ["Bob Brontosaur"] * 20}
    text = " ".join(refused(table | {"x": SEX}, ["sex", "district"], PrivacyModels(k=3), ["ill"]))
    assert "Bront" not in text
