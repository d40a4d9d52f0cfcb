"""The JSON Schemas of manifest, account and endpoint (2020-12)."""
