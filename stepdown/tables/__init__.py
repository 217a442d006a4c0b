"""Open a table's file, CSV or Parquet: the one way in, for every command and auxiliary file."""

from stepdown.tables.coded import Coded, read_coded
from stepdown.tables.form import Form, is_parquet
from stepdown.tables.open import OpenedTable, open_table

__all__ = ["Coded", "Form", "OpenedTable", "is_parquet", "open_table", "read_coded"]
