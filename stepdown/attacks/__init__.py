"""What an intruder gets out of a file and what they hold beside it, tried on the written bytes."""

from stepdown.attacks.linkage import Auxiliary
from stepdown.attacks.run import run_attacks

__all__ = ["Auxiliary", "run_attacks"]
