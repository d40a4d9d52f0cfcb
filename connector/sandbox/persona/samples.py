"""Values that nobody gave: made from what a setting says of itself, or from where a template uses it."""

from __future__ import annotations

import re
import re._constants as sre  # type: ignore[import-not-found]
import re._parser as sre_parser  # type: ignore[import-not-found]
from collections.abc import Mapping
from typing import Any

from connector.sandbox.persona.texts import every_text

_FORMATS = {
    "hostname": "{}.example.com",
    "uri": "https://{}.example.com",
    "email": "{}@example.com",
    "uuid": "123e4567-e89b-42d3-a456-426614174000",
}


def sample(name: str, setting: Mapping[str, Any]) -> str:
    """Return a value that a setting takes: its default, an example, a choice, or what fits its pattern."""
    if "default" in setting:
        return _text(setting["default"])
    for listed in ("examples", "enum"):
        for value in setting.get(listed, ()):
            # Vendors' examples of secrets are often half hidden by stars.
            if re.fullmatch(setting.get("pattern", ".*"), _text(value), re.DOTALL):
                return _text(value)
    kind = setting.get("type", "string")
    if kind != "string":
        return "1" if kind == "integer" else "true"
    if "format" in setting:
        return _FORMATS[setting["format"]].format(_label(name))
    return fitting(setting["pattern"]) if "pattern" in setting else f"{_label(name)}-1"


def captured(name: str, spec: Mapping[str, Any]) -> str:
    """Return a value for a name that the provider tells: one that fits where the templates use it."""
    setting = spec.get("settings", {}).get(name, {})
    if set(setting) & {"default", "examples", "enum", "format", "pattern"}:
        return sample(name, setting)
    for text in every_text(spec):
        whole = re.match(rf"\{{{re.escape(name)}\}}([/?]|$)", text)
        if whole and _is_url(text, spec):
            return f"https://{_label(name)}.example.com"
        if re.match(rf"[a-z]+://\{{{re.escape(name)}\}}([/:?]|$)", text):
            return f"{_label(name)}.example.com"
    return f"{_label(name)}-1"


def _is_url(text: str, spec: Mapping[str, Any]) -> bool:
    """Whether a text stands where URLs stand."""
    return any(text in urls for urls in _urls(spec))


def _urls(value: Any) -> list[list[str]]:
    if isinstance(value, list):
        return [each for inner in value for each in _urls(inner)]
    if not isinstance(value, Mapping):
        return []
    own = [every_text(value[key]) for key in ("url", "base_url", "issuer", "discovery") if key in value]
    return own + [each for inner in value.values() for each in _urls(inner)]


def _label(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "x"


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def fitting(pattern: str) -> str:
    """Return a short text that a regular expression matches as a whole."""
    return "".join(_piece(op, value) for op, value in sre_parser.parse(pattern))


def _piece(op: Any, value: Any) -> str:
    if op is sre.LITERAL:
        return chr(value)
    if op is sre.NOT_LITERAL or op is sre.ANY:
        return "a"
    if op is sre.IN:
        return _one_of(value)
    if op in (sre.MAX_REPEAT, sre.MIN_REPEAT):
        least, most, inner = value
        count = max(int(least), min(int(most), 1))
        return count * "".join(_piece(*each) for each in inner)
    if op is sre.SUBPATTERN:
        return "".join(_piece(*each) for each in value[3])
    if op is sre.BRANCH:
        return "".join(_piece(*each) for each in value[1][0])
    return ""  # ^, $, \b and looks ahead take no room


_CATEGORIES = {sre.CATEGORY_DIGIT: "1", sre.CATEGORY_SPACE: " ", sre.CATEGORY_WORD: "a"}


def _one_of(choices: Any) -> str:
    if choices[0][0] is sre.NEGATE:
        taken = re.compile("[" + "".join(re.escape(chr(v)) for o, v in choices[1:] if o is sre.LITERAL) + "]")
        return next((c for c in "ab1-x" if not (taken.pattern != "[]" and taken.match(c))), "a")
    op, value = choices[0]
    if op is sre.RANGE:
        return chr(value[0])
    return chr(value) if op is sre.LITERAL else _CATEGORIES.get(value, "a")
