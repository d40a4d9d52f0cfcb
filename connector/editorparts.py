"""What an editor may know of one endpoint's settings and of one snap's options, as JSON Schema.

Rules of this room: an editor must never call wrong what `connector check` calls right. So wherever a
reference (``${scheme:ref}``) may stand instead of a value, it may here, and what JSON Schema cannot say
is left to the check.
"""

from __future__ import annotations

import inspect
import json
import re
import types
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin

from connector.endpoint import Endpoint
from connector.options import options_of, words
from connector.snap import Snap

Schema = dict[str, Any]

_REFERENCE = r"\$\{[^{}]+\}"
_FORMATS = {
    "hostname": r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?",
    "uri": r"[A-Za-z][A-Za-z0-9+.-]*://.+",
    "email": r"[^@\s]+@[^@\s]+",
    "uuid": r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
}
_EXPECTED = {
    "hostname": "Expected a host name, without https:// and without a path.",
    "uri": "Expected a URL.",
    "email": "Expected an email address.",
    "uuid": "Expected a UUID.",
}
# What Python's expressions have and JavaScript's lack or read otherwise: such a pattern is left to the check.
_PYTHON_ONLY = re.compile(r"\(\?[^:=!]|\\[AZ]|[*+?}]\+|\[\]|\[\^\]")


def choice(names: Mapping[str, str], *, wrong: str = "") -> Schema:
    """One of some names, each with what it is; `wrong` is said of any other."""
    schema: Schema = {"type": "string", "enum": list(names), "enumDescriptions": list(names.values())}
    return {**schema, "errorMessage": wrong} if wrong else schema


def settings_of(endpoint: Endpoint) -> Schema:
    """What ``settings:`` of an account of this endpoint may hold."""
    asked = endpoint.settings
    schema: Schema = {
        "type": "object",
        "title": f"Settings of {endpoint.title or endpoint.name}",
        "description": endpoint.docs and f"What {endpoint.name} asks for: {endpoint.docs}",
        "additionalProperties": False,
        "properties": {name: _setting(said) for name, said in asked.items()},
    }
    must = must_be_given(endpoint)
    return {**schema, "required": must} if must else schema


def must_be_given(endpoint: Endpoint) -> list[str]:
    """Settings that each account must give; not those that only some have (``x-visible-when``)."""
    return [
        name
        for name, said in endpoint.settings.items()
        if said.get("x-filled-by", "user") == "user"
        and "default" not in said
        and "x-visible-when" not in said
        and said.get("x-required", True)
    ]


def _setting(said: Mapping[str, Any]) -> Schema:
    schema: Schema = {key: said[key] for key in ("title", "examples", "default") if key in said}
    told = [str(said[key]) for key in ("description", "x-help", "x-doc") if said.get(key)]
    schema["description"] = "\n\n".join(told)
    kind = said.get("type", "string")
    if "enum" in said:
        texts = [str(each) for each in said["enum"]]
        numbers = [int(text) for text in texts if re.fullmatch("-?[1-9][0-9]{0,15}", text)]
        truths = [text == "true" for text in texts if text in ("true", "false") and kind == "boolean"]
        return {**schema, "anyOf": [{"enum": [*texts, *numbers, *truths]}, _reference()]}
    if kind == "string":
        return {**schema, "type": ["string", "integer"], **_form(said)}
    pattern = "true|false" if kind == "boolean" else "-?[0-9]{1,18}"
    return {**schema, "type": [kind, "string"], "pattern": f"^(?:{_REFERENCE}|{pattern})$"}


def _form(said: Mapping[str, Any]) -> Schema:
    pattern, form = said.get("pattern"), said.get("format")
    if pattern is not None and not _PYTHON_ONLY.search(pattern):
        example = f", for example {said['examples'][0]}" if said.get("examples") else ""
        return {
            "pattern": f"^(?:{_REFERENCE}|(?:{pattern}))$",
            "patternErrorMessage": f"This is not of the form that is expected here{example}.",
        }
    if form in _FORMATS:
        return {"pattern": f"^(?:{_REFERENCE}|{_FORMATS[form]})$", "patternErrorMessage": _EXPECTED[form]}
    return {"minLength": 1}


def _reference(scheme: str = "") -> Schema:
    return {"type": "string", "pattern": rf"^\$\{{{scheme}:" if scheme else f"^{_REFERENCE}$"}


def options_schema(snap: Snap) -> Schema:
    """What ``with:`` of a step with this snap may hold."""
    known = options_of(snap.run)
    if known is None:
        return {"type": "object", "description": snap.summary}
    defaults = inspect.signature(snap.run).parameters
    schema: Schema = {
        "type": "object",
        "title": f"Options of {snap.name}",
        "description": snap.summary,
        "additionalProperties": False,
        "properties": {
            name: {
                "title": name,
                "description": words(option.wanted).capitalize() + ".",
                **_default(defaults[name].default),
                **_or_parameter(of_annotation(option.wanted)),
            }
            for name, option in known.items()
        },
    }
    must = [name for name, option in known.items() if option.required]
    return {**schema, "required": must} if must else schema


def _default(value: Any) -> Schema:
    if value is None or value is inspect.Parameter.empty or value in ("", [], {}, ()):
        return {}
    try:
        return {"default": json.loads(json.dumps(value))}
    except (TypeError, ValueError):
        return {}


def _or_parameter(schema: Schema) -> Schema:
    if not schema or schema == {"type": "string"}:
        return schema  # it may be ``${param:name}`` as it is
    return {"anyOf": [schema, _reference("param")]}


_PLAIN: Mapping[Any, str] = {bool: "boolean", str: "string", int: "integer", float: "number"}


def of_annotation(wanted: Any) -> Schema:
    """A JSON Schema of what an option's annotation takes; an empty one where it is not understood."""
    origin, inner = get_origin(wanted), get_args(wanted)
    plain = origin or wanted
    if origin in (Union, types.UnionType):
        parts = [of_annotation(each) for each in inner]
        return {"anyOf": parts} if all(parts) else {}
    if origin is Literal:
        return {"enum": list(inner)}
    if plain is None or plain is types.NoneType:
        return {"type": "null"}
    if plain in _PLAIN:
        return {"type": _PLAIN[plain]}
    if plain in (list, tuple, Sequence, Iterable, Collection):
        return {"type": "array", **({"items": _or_parameter(of_annotation(inner[0]))} if inner else {})}
    if plain in (dict, Mapping):
        values = _or_parameter(of_annotation(inner[1])) if inner else {}
        return {"type": "object", **({"additionalProperties": values} if values else {})}
    return {}
