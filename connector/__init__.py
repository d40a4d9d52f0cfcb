"""OAuth2 accounts for Python data pipelines: declared once in YAML, signed in from then on.

import connector

with connector.open("manifest.yaml") as host:
    with host.client("purchasing") as http:
        http.get("/api/invoices")
"""

from connector.errors import (
    ConnectorError,
    ForeignHostError,
    ManifestError,
    NotAuthorizedError,
    PluginError,
    Problem,
    RenewalError,
    SecretMissingError,
    SnapError,
    StoreError,
)
from connector.host import Host
from connector.openhost import open
from connector.secret import Secret
from connector.token import Token

__version__ = "0.1.0"

__all__ = [
    "ConnectorError",
    "ForeignHostError",
    "Host",
    "ManifestError",
    "NotAuthorizedError",
    "PluginError",
    "Problem",
    "RenewalError",
    "Secret",
    "SecretMissingError",
    "SnapError",
    "StoreError",
    "Token",
    "open",
]
