"""Stream release files and their conversions."""
