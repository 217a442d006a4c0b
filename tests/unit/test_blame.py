"""A refusal names the demands and the columns at fault, and what it advises is enough."""

from __future__ import annotations

import pyarrow as pa
import pytest

from stepdown.anonymise.lattice.models import PrivacyModels, SearchColumn, SensitiveColumn
from stepdown.anonymise.tables.recode import anonymise_relation
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


def test_a_column_that_tells_no_record_apart_is_not_blamed():
    table = TABLE | {"place": ["z"] * 20}
    told = refused(table, ["sex", "district", "place"], PrivacyModels(k=3))
    assert "place" not in " ".join(told)


def test_the_t_of_what_is_released_is_the_one_to_allow_where_it_is_larger():
    # Two records of a third sex are suppressed: 10 of 27 were ill, 10 of the 25 that are left.
    table = {"sex": ["a"] * 20 + ["b"] * 5 + ["c"] * 2, "ill": ["yes"] * 10 + ["no"] * 17}
    models = PrivacyModels(k=3, t=0.39, t_against_released=True)
    message, advice = refused(table, ["sex"], models, ["ill"], suppression=0.1)
    assert "t of ill among the released records is 0.400, limit 0.39" in message
    assert "allow t = 0.4 of ill" in advice


def test_a_sensitive_column_without_which_k_still_fails_is_not_to_be_dropped():
    message, advice = refused(TABLE, ["sex", "district"], PrivacyModels(k=3, distinct_l=2), ["ill"])
    assert "k = 3: 1" in message
    assert "2 different values of ill" in message
    assert "drop ill" not in advice


def test_suppression_is_not_advised_where_what_is_left_fails_too():
    models = PrivacyModels(k=3, expected_reidentifications=0.05)
    _, advice = refused(TABLE, ["sex", "district"], models)
    assert "suppressed" not in advice


def test_the_share_of_a_population_is_named():
    with open_session() as session:
        session.attach_arrow("t", pa.table({"sex": SEX}))
        session.attach_arrow("everybody", pa.table({"sex": [*SEX, *["m"] * 30]}))
        with pytest.raises(Refused) as caught:
            anonymise_relation(
                session,
                "t",
                [SearchColumn("sex", None)],
                PrivacyModels(delta_presence=(0.0, 0.5)),
                population="everybody",
                suppression=0.0,
            )
    assert "(delta-presence: 10)" in caught.value.message
    assert "drop sex" in caught.value.next
