"""JSON Schema 2020-12 errors in the words of the person who wrote the file.

Rules of this room: only our own schemas exist here, nothing is ever fetched; a text found in the file is
repeated only where it is one of a few harmless words, because any field may hold a misplaced secret.

Beside the standard keywords our schemas use, for people and forms: ``x-expected`` (what a value must be, in
words), ``x-secret`` (never show), ``x-not-here`` (key -> why it is not here), ``x-order``, ``x-widget``.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import resources
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend
from referencing import Registry, Resource

from connector.errors import Problem
from connector.yamlfile import Document, join

# A jsonschema ValidationError; its types say of each attribute that it may be unset, which it is not here.
Broken = Any

# More than anybody reads at once; a file that is something else altogether would have thousands.
MAX_PROBLEMS = 100

NAMES = ("account", "endpoint", "manifest")


@cache
def schema(name: str) -> Mapping[str, Any]:
    """One of our schemas: ``account``, ``endpoint`` or ``manifest``."""
    if name not in NAMES:
        raise LookupError(f"there is no schema {name!r}; there are {', '.join(NAMES)}")
    text = resources.files("connector.schemas").joinpath(f"{name}.schema.json").read_text("utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def bundle(name: str) -> dict[str, Any]:
    """The schema with those it refers to inside (``$defs``), for editors: one file, nothing to fetch."""
    main = dict(schema(name))
    others = {f"connector:{other}": dict(schema(other)) for other in NAMES if other != name}
    return {**main, "$defs": {**main.get("$defs", {}), **others}}


def _unique(validator: Any, wanted: bool, items: Any, schema: Any) -> Iterator[ValidationError]:
    if wanted and isinstance(items, list) and _repeated(items) is not None:
        yield ValidationError("not unique")


def _repeated(items: list[Any]) -> int | None:
    """Index of the first item that was there before. jsonschema's own search is quadratic."""
    seen: set[str] = set()
    for i, item in enumerate(items):
        written = json.dumps(item, sort_keys=True)
        if written in seen:
            return i
        seen.add(written)
    return None


_Validator = extend(Draft202012Validator, {"uniqueItems": _unique})  # type: ignore[no-untyped-call]


@cache
def _validator(name: str) -> Any:
    # A registry without a `retrieve` function: a $ref to anything else fails instead of being fetched.
    known = [(str(schema(n)["$id"]), Resource.from_contents(schema(n))) for n in NAMES]
    registry: Registry[Any] = Registry().with_resources(known)
    return _Validator(schema(name), registry=registry)


def check(document: Document, name: str, *, data: Any = None) -> list[Problem]:
    """What in `document` the schema `name` does not allow, the first 100, in the order of the file.

    Args:
        data: checked instead of the document's own data (places still come from the document).
    """
    errors = _validator(name).iter_errors(document.data if data is None else data)
    found = list(islice((p for error in errors for p in _problems(document, error)), MAX_PROBLEMS))
    known = {problem.pointer for problem in document.problems if problem.pointer}
    fresh = {str(p): p for p in found if p.pointer not in known}
    return sorted(fresh.values(), key=lambda p: (p.line, p.column, p.message))


def _problems(document: Document, error: Broken) -> Iterator[Problem]:
    if error.context:
        for inner in error.context:
            yield from _problems(document, inner)
        return
    pointer = join("", *error.absolute_path)
    rule = str(error.validator)
    if rule == "additionalProperties":
        yield from _unknown_keys(document, pointer, error)
    elif rule == "required":
        yield from _missing_keys(document, pointer, error)
    elif error.parent is None and "propertyNames" in error.absolute_schema_path:
        yield _bad_name(document, pointer, error)
    else:
        message, hint = _say(rule, error, document.written.get(pointer))
        yield document.problem(pointer, message, hint)


def _unknown_keys(document: Document, pointer: str, error: Broken) -> Iterator[Problem]:
    spec: Mapping[str, Any] = error.schema
    known = list(spec.get("properties", ()))
    patterns = list(spec.get("patternProperties", ()))
    for key in error.instance:
        if key in known or any(re.search(pattern, key) for pattern in patterns):
            continue
        message, hint = f"{shorten(key)} is not a key here", ""
        reasons = spec.get("x-not-here", {})
        if normal(key) in reasons:
            hint = reasons[normal(key)]
        elif near := near_miss(key, [k for k in known if k not in error.instance]):
            hint = f"did you mean {near}?"
        elif near := near_miss(key, known):
            hint = f"did you mean {near}? it is there already"
        elif known:
            hint = "known here: " + ", ".join(known)
        yield document.problem(join(pointer, key), message, hint, key=True)


def _missing_keys(document: Document, pointer: str, error: Broken) -> Iterator[Problem]:
    # jsonschema makes one error for each missing key, and tells which only in its message.
    spec: Mapping[str, Any] = error.schema
    key = next(k for k in error.validator_value if error.message.startswith(repr(k)))
    if any(near_miss(k, spec.get("properties", ())) == key for k in error.instance):
        return  # that key is reported by itself, as unknown, with this one as the suggestion
    title = spec.get("properties", {}).get(key, {}).get("title", "")
    meant = f" ({title})" if title and normal(title) != key else ""
    owner = pointer.rpartition("/")[2]
    owner = f"entry {int(owner) + 1}" if owner.isdecimal() else shorten(owner)
    where = f"{owner} has no {key}{meant}" if pointer else f"{key}{meant} is missing"
    hint = "write version: 1 in the first line" if key == "version" else f"add {key}: ..."
    yield document.problem(pointer, where, hint, key=bool(pointer))


def _bad_name(document: Document, pointer: str, error: Broken) -> Problem:
    name = str(error.instance)
    message = f"{shorten(name)} is not {_expected(error)}"
    at, hint = join(pointer, name), ""
    if error.validator == "enum":
        message = f"{shorten(name)} is not a name that is known here"
        near = near_miss(name, error.validator_value)
        hint = f"did you mean {near}?" if near else "known: " + ", ".join(error.validator_value)
    elif (near := name.strip().lower().replace(" ", "_")) != name and re.fullmatch(
        str(error.validator_value), near
    ):
        hint = f"for example {shorten(near)}"
    return document.problem(at, message, hint, key=True)


def _say(rule: str, error: Broken, written: str | None) -> tuple[str, str]:
    """Message and hint for one broken rule."""
    value, limit = error.instance, error.validator_value
    secret = _is_secret(error)
    if rule == "type":
        return f"expected {_expected(error)}, found {kind(value, written, secret=secret)}", _type_hint(
            error, written, secret=secret
        )
    if rule in ("enum", "const"):
        return _say_choice(error, written, secret=secret)
    if rule in ("minLength", "minItems", "minProperties") and not value:
        return f"expected {_expected(error)}, found nothing in it", ""
    if rule == "uniqueItems":
        number = (_repeated(value) or 0) + 1
        return f"expected different entries, and number {number} was there before", "remove it"
    if rule in ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"):
        side = {"minimum": "at least", "exclusiveMinimum": "more than", "maximum": "at most"}.get(
            rule, "below"
        )
        return f"expected {_expected(error)}, {side} {limit}, found {kind(value, written, secret=secret)}", ""
    if rule == "maxLength":
        return f"longer than the {limit} characters allowed", ""
    return f"this is not {_expected(error)}", ""


def _say_choice(error: Broken, written: str | None, *, secret: bool) -> tuple[str, str]:
    value = error.instance
    allowed = [error.validator_value] if error.validator == "const" else list(error.validator_value)
    words = [str(choice) for choice in allowed]
    message = f"expected {any_of(words)}, found {kind(value, written, secret=secret)}"
    if not isinstance(value, str) or secret:
        return message, _type_hint(error, written, secret=secret)
    if value in words:
        return message, f"remove the quotes: {value}"
    near = near_miss(value, words)
    return message, f"did you mean {near}?" if near else ""


_YES = {"y", "yes", "on", "true"}
_NO = {"n", "no", "off", "false"}


def _type_hint(error: Broken, written: str | None, *, secret: bool) -> str:
    value, wanted = error.instance, error.validator_value
    kinds = [wanted] if isinstance(wanted, str) else list(wanted) if error.validator == "type" else []
    if value is None and not error.absolute_path:
        return "the file is empty"
    if value is None:
        return "nothing stands after the colon: give a value, or remove the key"
    if isinstance(value, str) and "boolean" in kinds and value.lower() in _YES | _NO:
        word = "true" if value.lower() in _YES else "false"
        return (
            f"{value} is text here; write {word}" if value.lower() != word else f"write {word} without quotes"
        )
    if isinstance(value, str) and {"number", "integer"} & set(kinds):
        plain = value.replace("_", "")
        return f"write {plain}" if re.fullmatch(r"[0-9]{1,15}", plain) else ""
    if isinstance(value, (bool, int, float)) and "string" in kinds:
        return "put it in quotes" if secret or written is None else f'put it in quotes: "{shorten(written)}"'
    if isinstance(value, list) and "object" in kinds:
        return "remove the dashes and write `key: value`"
    if isinstance(value, str) and kinds == ["array"]:
        return "write it as a list: [...]"
    return ""


def _expected(error: Broken) -> str:
    spec: Mapping[str, Any] = error.schema
    if "x-expected" in spec:
        return str(spec["x-expected"])
    wanted = spec.get("type", "something else")
    return any_of([_KINDS.get(w, w) for w in ([wanted] if isinstance(wanted, str) else wanted)])


_KINDS = {
    "string": "text",
    "object": "a mapping (key: value)",
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "null": "nothing",
}


def _is_secret(error: Broken) -> bool:
    spec: Any = error.schema
    return isinstance(spec, Mapping) and bool(spec.get("x-secret"))


def kind(value: Any, written: str | None = None, *, secret: bool = False) -> str:
    """What a value is, for a message: its kind, and the value itself where that gives nothing away."""
    if value is None:
        return "nothing"
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "a mapping"
    if isinstance(value, str):
        return f"the text {value}" if not secret and value.lower() in _YES | _NO else "text"
    name = "the value" if isinstance(value, bool) else "the number"
    if secret:
        return "true or false" if isinstance(value, bool) else "a number"
    return f"{name} {shorten(written if written is not None else json.dumps(value))}"


def normal(name: str) -> str:
    """A key as it would be written here: ``Client ID`` -> ``client_id``, ``clientId`` -> ``client_id``."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())
    return re.sub(r"[\s_-]+", "_", spaced).lower()


def near_miss(name: str, known: Iterable[str]) -> str:
    """The one of `known` that `name` was probably meant to be, or an empty text."""
    by_normal = {normal(k): k for k in known}
    close = difflib.get_close_matches(normal(name[:100]), by_normal, n=1, cutoff=0.7)
    return by_normal[close[0]] if close else ""


def any_of(words: list[str]) -> str:
    """``a, b or c``."""
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]


def shorten(text: str) -> str:
    """A text fit for one line of a message."""
    text = text if text.isprintable() else ascii(text)[1:-1]
    return text if len(text) <= 40 else text[:37] + "..."
