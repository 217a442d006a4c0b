from __future__ import annotations

import pyarrow as pa

from stepdown.engine import open_session
from stepdown.risk.leaks.insensitive import insensitive_problems


def problems(values, subjects, households=None):
    table = pa.table(
        {
            "subject": subjects,
            "household": pa.array(households or [None] * len(subjects), pa.string()),
            "c0": values,
        }
    )
    with open_session() as session:
        session.run("CREATE TEMP TABLE record (subject BIGINT, household VARCHAR, c0 VARCHAR)")
        session.attach_arrow("given", table)
        session.run("INSERT INTO record SELECT * FROM given")
        return insensitive_problems(session, {"kit": "c0"})


def test_a_column_that_two_of_a_hundred_subjects_are_alone_with_is_an_identifier():
    values = ["x"] * 98 + ["y", "z"]
    assert problems(values, list(range(100))) == (
        "kit: 2 of 100 data subjects are alone with a value of it",
    )


def test_one_of_a_hundred_is_allowed():
    assert problems(["x"] * 99 + ["y"], list(range(100))) == ()


def test_many_rows_of_one_subject_do_not_hide_that_the_value_is_theirs_alone():
    assert len(problems(["x"] * 4 + ["y"] * 2, [1, 2, 3, 4, 5, 5])) == 1


def test_a_column_that_every_household_shares_links_its_members():
    shared = ["a", "a", "b", "b", "a", "a"]
    homes = ["h1", "h1", "h2", "h2", "h3", "h3"]
    assert "household" in problems(shared, list(range(6)), homes)[0]
    assert problems(["a", "b", "b", "b", "a", "a"], list(range(6)), homes) == ()


def test_a_column_with_one_value_tells_nobody_apart():
    assert problems(["x"] * 4, [1, 2, 3, 4], ["h1", "h1", "h2", "h2"]) == ()
