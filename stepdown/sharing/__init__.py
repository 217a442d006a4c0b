"""The server that consumers talk to, and its client."""
