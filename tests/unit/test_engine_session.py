from __future__ import annotations

import pyarrow as pa
import pytest

from stepdown.engine import open_session
from stepdown.errors import WorldFailed


def test_a_statement_leaves_the_session_free_for_the_next():
    with open_session() as session:
        session.attach_arrow("numbers", pa.table({"x": [2, 1]}))
        session.run("CREATE TEMP TABLE copied AS SELECT * FROM numbers")
        assert session.scalar("SELECT max(x) FROM copied") == 2
        assert session.scalar("SELECT x FROM copied WHERE x > 9") is None
        assert session.stream("SELECT x FROM copied ORDER BY x").read_all()["x"].to_pylist() == [
            1,
            2,
        ]
        assert session.fetch("SELECT count(*) AS n FROM copied")["n"].to_pylist() == [2]


def test_a_python_variable_is_never_taken_for_a_relation():
    unrelated = pa.table({"x": [1]})
    with open_session() as session, pytest.raises(WorldFailed):
        session.fetch("SELECT * FROM unrelated")
    assert unrelated.num_rows == 1


def test_an_engine_failure_does_not_quote_the_cell_that_caused_it():
    with open_session() as session, pytest.raises(WorldFailed) as failure:
        session.run("SELECT CAST('Aurelia Quux' AS BIGINT)")
    assert "Quux" not in str(failure.value)
    assert failure.value.__cause__ is None


def test_a_copied_table_stays_when_the_original_is_gone():
    with open_session() as session:
        session.copy_arrow("numbers", pa.table({"x": [2, 1]}))
        session.copy_arrow("letters", pa.table({"y": ["a"]}))
        assert session.fetch("SELECT * FROM numbers, letters ORDER BY x").to_pydict() == {
            "x": [1, 2],
            "y": ["a", "a"],
        }


def test_memory_that_is_given_back_is_there_for_the_next_answer(tmp_path):
    with open_session(tmp_path) as session:
        session.attach_arrow("t", pa.table({"a": [1, 2]}))
        session.release_memory()
        assert session.scalar("SELECT sum(a) FROM t") == 3
        limit = session.scalar("SELECT current_setting('memory_limit')")
    with open_session(tmp_path) as session:
        assert session.scalar("SELECT current_setting('memory_limit')") == limit
