"""From a source to a pinned, typed snapshot."""
