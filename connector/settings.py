"""An account's settings against what its endpoint asks for.

Rules of this room: a setting that an endpoint marks ``x-secret`` appears in no message.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from connector.accountspec import AccountSpec, text
from connector.check import any_of, kind, near_miss, shorten
from connector.endpoint import Endpoint
from connector.errors import Problem
from connector.template import TemplateError, check_url

Setting = Mapping[str, Any]


def bind_settings(
    spec: AccountSpec,
    endpoint: Endpoint,
    given: Mapping[str, Any],
    pending: Collection[str],
    *,
    grant: str = "",
) -> tuple[dict[str, str], list[Problem]]:
    """Settings as text, defaults included, and what is wrong with those given.

    Args:
        given: values as written, references followed.
        pending: names whose reference has not been followed; their values go unchecked.
        grant: of the account, for settings that only some grants ask for.
    """
    asked, problems = endpoint.settings, []
    values = {name: text(s["default"]) for name, s in asked.items() if "default" in s}
    for name, value in given.items():
        values[name] = text(value)
        if name not in asked:
            problems.append(_unknown(spec, endpoint, name))
        elif name not in pending and (wrong := _wrong(asked[name], value)):
            message, hint = wrong
            problems.append(spec.problem(f"{name}: {message}", "settings", name, hint=hint))
    for name, setting in asked.items():
        meant = any(n not in asked and near_miss(n, asked) == name for n in given)  # told as unknown already
        if name not in given and _required(setting) and not meant and _visible(setting, values, grant):
            problems.append(_missing(spec, endpoint, name, setting))
    return values, problems


def _required(setting: Setting) -> bool:
    if setting.get("x-filled-by", "user") != "user" or "default" in setting:
        return False
    return bool(setting.get("x-required", True))


def _visible(setting: Setting, values: Mapping[str, str], grant: str) -> bool:
    """Whether ``x-visible-when`` lets it be asked for."""
    known = {"grant": grant, **values}
    for name, wanted in setting.get("x-visible-when", {}).items():
        choices = wanted if isinstance(wanted, list) else [wanted]
        if known.get(name, "") not in [text(choice) for choice in choices]:
            return False
    return True


def _missing(spec: AccountSpec, endpoint: Endpoint, name: str, setting: Setting) -> Problem:
    title = setting.get("title", "")
    meant = f" ({title})" if title and title.lower() != name else ""
    steps = ["settings"] if "settings" in spec.data else []
    examples = setting.get("examples") or setting.get("enum") or ["..."]
    hint = (
        f"add settings: {{{name}: {text(examples[0])}}}" if not steps else f"add {name}: {text(examples[0])}"
    )
    message = f"{endpoint.title or endpoint.name} asks for the setting {name}{meant}"
    return spec.problem(message, *steps, hint=hint, key=bool(steps))


def _unknown(spec: AccountSpec, endpoint: Endpoint, name: str) -> Problem:
    asked = [n for n, s in endpoint.settings.items() if s.get("x-filled-by", "user") == "user"]
    near = near_miss(name, asked)
    hint = (
        f"did you mean {near}?"
        if near
        else f"it asks for: {', '.join(asked)}"
        if asked
        else "it asks for none"
    )
    message = f"endpoint {shorten(endpoint.name)} has no setting {shorten(name)}"
    return spec.problem(message, "settings", name, hint=hint, key=True)


def _wrong(setting: Setting, value: Any) -> tuple[str, str] | None:
    """Message and hint, or None when the value fits."""
    secret = bool(setting.get("x-secret"))
    example = f"for example {text(setting['examples'][0])}" if setting.get("examples") else ""
    wrong = _wrong_type(setting.get("type", "string"), value, secret=secret)
    if wrong:
        return wrong
    said = text(value)
    if "enum" in setting and said not in (choices := [text(c) for c in setting["enum"]]):
        near = "" if secret else near_miss(said, choices)
        return (
            f"expected {any_of(choices)}, found {kind(value, secret=secret)}",
            f"did you mean {near}?" if near else "",
        )
    if not said:
        return "expected a value, found an empty text", example
    if "pattern" in setting and not re.fullmatch(setting["pattern"], said):
        return (
            "this is not of the form that is expected here",
            example or f"it must match {setting['pattern']}",
        )
    if "format" in setting:
        return FORMATS[setting["format"]](said, example, secret)
    return None


def _wrong_type(wanted: str, value: Any, *, secret: bool) -> tuple[str, str] | None:
    said = text(value)
    if wanted == "boolean" and said not in ("true", "false"):
        yes = said.lower() in ("yes", "on", "y", "1")
        no = said.lower() in ("no", "off", "n", "0")
        return f"expected true or false, found {kind(value, secret=secret)}", (
            "" if not (yes or no) else f"write {'true' if yes else 'false'}"
        )
    if wanted == "integer" and (isinstance(value, bool) or not re.fullmatch(r"-?[0-9]{1,18}", said)):
        return f"expected a whole number, found {kind(value, secret=secret)}", ""
    if wanted == "string" and isinstance(value, bool):
        return f"expected text, found {kind(value, secret=secret)}", f'put it in quotes: "{said}"'
    return None


_HOSTNAME = re.compile(
    r"(?=.{1,253}(?::|\Z))[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*(?::[0-9]{1,5})?"
)
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def _hostname(said: str, example: str, secret: bool) -> tuple[str, str] | None:
    if _HOSTNAME.fullmatch(said):
        return None
    hint = example
    if "://" in said and not secret:
        try:
            host = urlsplit(said).hostname or ""
        except ValueError:
            host = ""
        hint = f"did you mean {host}?" if _HOSTNAME.fullmatch(host) else example
    return "expected a host name, without https:// and without a path", hint


def _uri(said: str, example: str, secret: bool) -> tuple[str, str] | None:
    try:
        check_url(said)
    except TemplateError as error:
        return str(error) if "://" in said else "expected a URL", example
    return None


def _email(said: str, example: str, secret: bool) -> tuple[str, str] | None:
    return None if re.fullmatch(r"[^@\s]+@[^@\s]+", said) else ("expected an email address", example)


def _uuid(said: str, example: str, secret: bool) -> tuple[str, str] | None:
    return None if _UUID.fullmatch(said) else ("expected a UUID", example)


FORMATS: Mapping[str, Callable[[str, str, bool], tuple[str, str] | None]] = {
    "hostname": _hostname,
    "uri": _uri,
    "email": _email,
    "uuid": _uuid,
}
