"""What an intruder could do with a file, measured on its written bytes."""

from stepdown.risk.assess import assess_risk
from stepdown.risk.file import assess_file
from stepdown.risk.joint import joint_view
from stepdown.risk.residue import check_texts

__all__ = ["assess_file", "assess_risk", "check_texts", "joint_view"]
