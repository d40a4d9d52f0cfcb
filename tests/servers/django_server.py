"""django-oauth-toolkit: another authorization server, by other hands and with other habits."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from ports import port_ahead
from rig_process import RigProcess

SERVE = Path(__file__).parent / "toolkit" / "serve.py"


def toolkit_secret_of(client_id: str) -> str:
    """The secret of a client that has one (toolkit/serve.py)."""
    return f"secret-of-{client_id}"


class DjangoServer(RigProcess):
    """Settings are those of toolkit/serve.py, by their names there."""

    def __init__(self, *, log: Path, **settings: Any) -> None:
        # Of 127.0.0.1 it takes any port, as RFC 8252 wants; of localhost only the one that is registered.
        self.exact_redirect = settings.setdefault(
            "exact_redirect", f"http://localhost:{port_ahead()}/callback"
        )
        super().__init__([sys.executable, str(SERVE), json.dumps(settings)], log=log)

    @property
    def issuer(self) -> str:
        return f"{self.url}/o"

    @property
    def discovery(self) -> str:
        """Between host and path, as RFC 8414 section 3.1 says."""
        return f"{self.url}/.well-known/oauth-authorization-server/o"
