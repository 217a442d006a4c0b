"""Record what people decide about a release: approve, reject, review, renew, withdraw."""
