"""What protection cost."""

from stepdown.utility.files import utility_of_files
from stepdown.utility.measure import measure_utility

__all__ = ["measure_utility", "utility_of_files"]
