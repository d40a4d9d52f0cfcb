"""The pages that a person sees: one frame for all, with no script and nothing from anywhere else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from html import escape
from urllib.parse import urlsplit

from starlette.responses import HTMLResponse

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:30rem;margin:12vh auto;padding:0 1rem;"
    "color:#222;background:#f6f6f4}main{background:#fff;border:1px solid #ddd;border-radius:.6rem;"
    "padding:1.5rem 2rem}h1{font-size:1.3rem}dt{color:#666;font-size:.85rem}dd{margin:0 0 .6rem;"
    "overflow-wrap:anywhere}button,input{font:inherit;padding:.5rem 1.2rem;border-radius:.4rem;"
    "border:1px solid #888;background:#fff;margin:0 .5rem .5rem 0}button.yes{background:#1a6b3c;"
    "border-color:#1a6b3c;color:#fff}input{width:12ch;letter-spacing:.1em}small{color:#666}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
# RFC 6819 section 4.4.1.9: a consent page in somebody's frame is a button in somebody's hands.
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; frame-ancestors 'none'; "
    "form-action 'self'"
)
_BUTTONS = (
    '<button class="yes" name="decision" value="allow">Allow</button>'
    '<button name="decision" value="deny">Deny</button>'
)


def page(title: str, body: str, *, status: int = 200, leads_to: str = "") -> HTMLResponse:
    """Return a page around `body`, which is HTML. `leads_to` is where its form may redirect to."""
    # Browsers hold a form's redirects to form-action as well; a literal IPv6 host cannot be written there.
    policy = _POLICY
    if leads_to:
        parts = urlsplit(leads_to)
        policy += " http:" if ":" in (parts.hostname or "") else f" {parts.scheme}://{parts.netloc}"
    headers = {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        # The address of this page holds the client's state.
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return HTMLResponse(
        f'<!doctype html><html lang="en"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style><main><h1>{escape(title)}</h1>{body}</main></html>\n",
        status_code=status,
        headers=headers,
    )


def decision_form(inputs: str = "") -> str:
    """Return the form with the two buttons; it goes back to the address of its page."""
    small = "<small>An invented company: nothing is at stake.</small>"
    return f'<form method="post">{inputs}{_BUTTONS}</form>{small}'


def facts(rows: Mapping[str, str | Iterable[str]]) -> str:
    """Return what is asked for as a list of terms; empty ones are left out."""
    listed = ""
    for name, told in rows.items():
        texts = [told] if isinstance(told, str) else list(told)
        if any(texts):
            listed += f"<dt>{escape(name)}</dt><dd>{'<br>'.join(map(escape, texts))}</dd>"
    return f"<dl>{listed}</dl>"
