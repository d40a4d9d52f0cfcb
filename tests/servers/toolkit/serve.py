"""django-oauth-toolkit in a small project on loopback: ``python serve.py '{"access_token_ttl": 5}'``.

Prints one line, {"port": ...}, once it answers; goes away when its standard input closes, and its database
with it. What may be asked for is in DEFAULTS.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from socketserver import ThreadingMixIn
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

HERE = Path(__file__).parent
DEFAULTS: dict[str, Any] = {
    "port": 0,  # 0: a free one
    "access_token_ttl": 5,  # seconds
    "rotate": True,  # a new refresh token for every one used
    "grace": 0,  # seconds for which one used before still gives the successor again
    "reuse_protection": True,  # one used again after that ends its whole family
    "device_interval": 5,  # seconds; what it tells the device, and does not enforce
    "iss": False,  # RFC 9207, off until its release 4
    "exact_redirect": "http://localhost:18080/callback",  # of the client `exact`
}


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128


class Handler(WSGIRequestHandler):
    timeout = 30

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Without the query, which may hold a code."""
        self.log_message("%s %s %s", self.command, urlsplit(self.path).path, code)


def configure(asked: dict[str, Any], base: str, folder: Path) -> None:
    from django.conf import settings

    settings.configure(
        SECRET_KEY="of this run only, and of a test",
        ALLOWED_HOSTS=["127.0.0.1", "localhost"],
        ROOT_URLCONF="urls",
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "oauth2_provider"],
        # Tables are made from the models, which takes a tenth of the time of the migrations.
        MIGRATION_MODULES=dict.fromkeys(("auth", "contenttypes", "oauth2_provider")),
        MIDDLEWARE=[
            "counting.Counting",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "DIRS": [HERE / "templates"],
                "APP_DIRS": True,
                "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
            }
        ],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": folder / "toolkit.sqlite3",
                # It reads before it writes: begun otherwise, two at once fail instead of waiting.
                "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE"},
            }
        },
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        LOGIN_URL="/login/",
        STATIC_URL="/static/",
        USE_TZ=True,
        LOGGING={
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {"stderr": {"class": "logging.StreamHandler"}},
            "root": {"handlers": ["stderr"], "level": "INFO"},
        },
        OAUTH2_PROVIDER={
            "ACCESS_TOKEN_EXPIRE_SECONDS": asked["access_token_ttl"],
            "ROTATE_REFRESH_TOKEN": asked["rotate"],
            "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": asked["grace"],
            "REFRESH_TOKEN_REUSE_PROTECTION": asked["reuse_protection"],
            "PKCE_REQUIRED": True,
            "SCOPES": {"read": "Look", "write": "Change", "introspection": "Ask about tokens"},
            "DEFAULT_SCOPES": ["read"],
            "OIDC_ISS_ENDPOINT": f"{base}/o",
            "COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS": asked["iss"],
            "OAUTH_DEVICE_VERIFICATION_URI": f"{base}/o/device/",
            "DEVICE_FLOW_INTERVAL": asked["device_interval"],
        },
    )


def fill(asked: dict[str, Any]) -> None:
    """Two people and the clients; secrets are ``secret-of-`` and the client's name."""
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from oauth2_provider.models import Application

    call_command("migrate", run_syncdb=True, verbosity=0, stdout=sys.stderr)
    for name in ("ada", "bob"):
        User.objects.create_user(name, password="sandbox")
    loopback = "http://127.0.0.1/callback http://127.0.0.1/ http://[::1]/callback"
    code, device = Application.GRANT_AUTHORIZATION_CODE, Application.GRANT_DEVICE_CODE
    for client_id, client_type, grant, redirects in (
        ("confidential", "confidential", code, loopback),
        ("public", "public", code, loopback),
        ("exact", "confidential", code, asked["exact_redirect"]),
        ("machine", "confidential", Application.GRANT_CLIENT_CREDENTIALS, ""),
        ("device", "public", device, ""),
    ):
        Application.objects.create(
            client_id=client_id,
            client_secret=f"secret-of-{client_id}",
            client_type=client_type,
            authorization_grant_type=grant,
            redirect_uris=redirects,
            name=client_id,
            skip_authorization=False,
        )


def main() -> None:
    given = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
    if unknown := given.keys() - DEFAULTS.keys():
        raise SystemExit(f"unknown settings: {', '.join(sorted(unknown))}")
    asked = DEFAULTS | given
    with TemporaryDirectory(prefix="toolkit-") as folder:
        # Before everything else, since the issuer names the port.
        server = Server(("127.0.0.1", asked["port"]), Handler)
        port = server.server_address[1]
        configure(asked, f"http://127.0.0.1:{port}", Path(folder))
        from django.core.wsgi import get_wsgi_application

        server.set_app(get_wsgi_application())
        fill(asked)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        print(json.dumps({"port": port}), flush=True)
        sys.stdin.read()
        server.shutdown()


if __name__ == "__main__":
    main()
