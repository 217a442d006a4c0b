"""Attack the written bytes as an intruder would, alone and beside what they may hold."""

from stepdown.attacks.linkage import Auxiliary
from stepdown.attacks.run import run_attacks

__all__ = ["Auxiliary", "run_attacks"]
