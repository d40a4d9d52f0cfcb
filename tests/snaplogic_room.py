"""Account definitions as SnapLogic exports them."""

from __future__ import annotations

from typing import Any


def v(value: Any, expression: bool = False) -> dict[str, Any]:
    return {"value": value, "expression": expression}


def row(name: Any, value: Any, expression: bool = False) -> dict[str, Any]:
    return {"parameterName": v(name), "parameterValue": v(value, expression)}


def export(label: str = "Orders", kind: str = "rest-oauth2account", **changed: Any) -> dict[str, Any]:
    """An account with bare URLs; `changed` replaces envelopes, None takes one away."""
    fields: dict[str, Any] = {
        "client_id": v("orders"),
        "client_secret": v("CANARY-secret"),
        "oauth2_endpoint": v("https://login.example.com/authorize"),
        "oauth2_token": v("https://login.example.com/token"),
        "grant_type": v("authorization_code"),
        **changed,
    }
    return {
        "class_fqid": f"com-snaplogic-snaps-{kind}_1-main24402",
        "property_map": {
            "info": {"label": v(label)},
            "settings": {k: e for k, e in fields.items() if e is not None},
        },
    }
