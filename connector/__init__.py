"""OAuth2 accounts for Python data pipelines."""
