"""The plugins that ship with connector: endpoints in YAML, and the built-in grants, secret sources and snaps."""
