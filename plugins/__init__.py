"""The plugins we ship: endpoints in YAML; grants, secret sources, snaps and the sandbox in Python."""
