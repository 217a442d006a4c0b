"""Make, judge, refuse and submit the tiers and copies of one dataset's run."""
