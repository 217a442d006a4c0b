"""Measure what protection cost."""

from stepdown.utility.files import utility_of_files
from stepdown.utility.measure import measure_utility
from stepdown.utility.released_rows import count_released_rows

__all__ = ["count_released_rows", "measure_utility", "utility_of_files"]
