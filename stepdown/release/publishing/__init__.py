"""Submit, publish, suspend, recover and deliver releases."""
