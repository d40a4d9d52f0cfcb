"""What ``with:`` may say to a snap: read off the snap's own signature, checked and filled before a run.

Rules of this room: nothing is run and nothing is imported for a check; every finding says what was
expected and, for a near miss, what was probably meant.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import types
import typing
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

from connector.errors import SnapError
from connector.secret import parse_reference


class Flaw(NamedTuple):
    """One thing wrong with a step: JSON pointer below the step, what is wrong, what to do (may be empty)."""

    pointer: str
    message: str
    hint: str = ""


class UnsetParameter:
    """Stands in for ``${param:name}`` while it has no value: fits everywhere."""


UNSET = UnsetParameter()


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option of a snap: its name, annotated type, and whether it must be given."""

    name: str
    wanted: Any = Any
    required: bool = False


@functools.lru_cache(maxsize=256)
def options_of(run: Callable[..., Any]) -> Mapping[str, Option] | None:
    """Return the options a snap's function or class takes; None when it takes any (``**options``)."""
    parameters = inspect.signature(run).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    hints = _hints(run)
    return {
        parameter.name: Option(
            name=parameter.name,
            wanted=hints.get(parameter.name, Any),
            required=parameter.default is parameter.empty,
        )
        for parameter in parameters
        if parameter.kind is parameter.KEYWORD_ONLY and not parameter.name.startswith("_")
    }


def _hints(run: Callable[..., Any]) -> Mapping[str, Any]:
    bare: Any = run.func if isinstance(run, functools.partial) else run
    if not inspect.isroutine(bare):
        bare = bare.__init__ if inspect.isclass(bare) else type(bare).__call__
    try:
        return typing.get_type_hints(bare)
    except (NameError, TypeError, AttributeError):
        # A name known to type checkers only: such a snap goes unchecked, it does not fail.
        return {}


def flaws(run: Callable[..., Any], given: Mapping[str, Any]) -> Iterator[Flaw]:
    """Yield what is wrong with the options given to a snap."""
    known = options_of(run)
    if known is None:
        return
    for name, value in given.items():
        if name not in known:
            yield Flaw(f"/with/{escape(name)}", f"unknown option {name!r}", _instead(run, name, known))
        else:
            yield from _misfits(value, known[name].wanted, f"/with/{escape(name)}", name)
    for name in known:
        if known[name].required and name not in given:
            yield Flaw("/with", f"option {name!r} is missing", f"{name} is {words(known[name].wanted)}")


def _instead(run: Callable[..., Any], name: str, known: Iterable[str]) -> str:
    """What to do about an unknown option; one that was meant for an option stands before the ``*``."""
    bare = run.func if isinstance(run, functools.partial) else run
    # A function's own two are its documents and its context.
    after = 0 if inspect.isclass(bare) else 2
    positional = [
        parameter.name
        for parameter in inspect.signature(run).parameters.values()
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    if name in positional[after:]:
        return f"options must be keyword-only: write {name} after a `*` in the signature of the snap"
    return near(name, known) or f"the options are: {', '.join(known) or 'none'}"


def settled(run: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The options as a snap wants them, texts made numbers where it wants those.

    Raises SnapError with everything wrong in them.
    """
    known = options_of(run) or {}
    options = {
        name: _coerced(value, known[name].wanted) if name in known else value for name, value in given.items()
    }
    found = [f"{flaw.message} ({flaw.hint})" if flaw.hint else flaw.message for flaw in flaws(run, options)]
    if found:
        raise SnapError("; ".join(found), code="options")
    return options


def _coerced(value: Any, wanted: Any) -> Any:
    try:
        return coerce(value, wanted) if isinstance(value, str) else value
    except ValueError:
        return value


def _misfits(value: Any, wanted: Any, pointer: str, name: str) -> Iterator[Flaw]:
    """What is wrong with a value: of a mapping or list, the items that are."""
    if fits(value, wanted):
        return
    item = _item(value, wanted)
    if item is not None and isinstance(value, Mapping):
        for key, each in value.items():
            yield from _misfits(each, item, f"{pointer}/{escape(str(key))}", str(key))
    elif item is not None:
        for number, each in enumerate(value):
            yield from _misfits(each, item, f"{pointer}/{number}", f"{name}[{number}]")
    else:
        hint = near(value, _choices(wanted)) if isinstance(value, str) else ""
        yield Flaw(pointer, f"{name} is {kind(value)}, expected {words(wanted)}", hint)


def _item(value: Any, wanted: Any) -> Any:
    """What an annotation wants the items of this mapping or list to be; None: it wants no such thing."""
    for each in get_args(wanted) if get_origin(wanted) in (Union, types.UnionType) else (wanted,):
        plain, inner = get_origin(each), get_args(each)
        if plain in (dict, Mapping) and isinstance(value, Mapping):
            return inner[1]
        if plain in (list, tuple, Sequence, Iterable, Collection) and isinstance(value, (list, tuple)):
            return inner[0]
    return None


def near(name: str, known: Iterable[str]) -> str:
    """``did you mean x?`` for a near miss, else an empty text."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean {found[0]}?" if found else ""


def escape(name: str) -> str:
    """One token of a JSON pointer (RFC 6901 section 3)."""
    return name.replace("~", "~0").replace("/", "~1")


def fits(value: Any, wanted: Any) -> bool:
    """Whether a YAML value is what an annotation asks for; annotations not understood fit everything."""
    if isinstance(value, UnsetParameter):
        return True
    origin, inner = get_origin(wanted), get_args(wanted)
    if origin in (Union, types.UnionType):
        return any(fits(value, each) for each in inner)
    if origin is Literal:
        return any(type(value) is type(each) and value == each for each in inner)
    plain = origin or wanted
    if plain is None or plain is types.NoneType:
        return value is None
    if plain in (bool, str):
        return isinstance(value, plain)
    if plain in (int, float):
        return isinstance(value, int if plain is int else (int, float)) and not isinstance(value, bool)
    if plain in (list, tuple, Sequence, Iterable, Collection):
        return isinstance(value, (list, tuple)) and all(fits(each, inner[0]) for each in value if inner)
    if plain in (dict, Mapping):
        return isinstance(value, Mapping) and all(fits(each, inner[1]) for each in value.values() if inner)
    return True


def _choices(wanted: Any) -> list[str]:
    if get_origin(wanted) in (Union, types.UnionType):
        return [choice for each in get_args(wanted) for choice in _choices(each)]
    return (
        [each for each in get_args(wanted) if isinstance(each, str)] if get_origin(wanted) is Literal else []
    )


_WORDS: Mapping[Any, str] = {
    bool: "true or false",
    str: "a text",
    int: "a whole number",
    float: "a number",
    None: "nothing",
    types.NoneType: "nothing",
    list: "a list",
    tuple: "a list",
    Sequence: "a list",
    dict: "a mapping",
    Mapping: "a mapping",
}


def words(wanted: Any) -> str:
    """An annotation in words."""
    origin, inner = get_origin(wanted), get_args(wanted)
    if origin in (Union, types.UnionType):
        return " or ".join(words(each) for each in inner)
    if origin is Literal:
        return "one of " + ", ".join(str(each) for each in inner)
    return _WORDS.get(origin or wanted, "a value")


def kind(value: Any) -> str:
    """What a YAML value is, in words; a short text is shown."""
    if isinstance(value, str):
        return f"the text {value!r}" if len(value) <= 40 else "a text"
    return _WORDS.get(type(value), "a value") if value is not None else "empty"


def coerce(text: str, wanted: Any) -> Any:
    """Turn a parameter's text into what an option wants. Raises ValueError when it cannot be that."""
    if fits(text, wanted):
        return text
    inner = get_args(wanted) if get_origin(wanted) in (Union, types.UnionType) else (wanted,)
    for each in inner:
        if each is bool and text.lower() in ("true", "false"):
            return text.lower() == "true"
        if each in (int, float):
            try:
                return each(text)
            except ValueError:
                continue
        if get_origin(each) is Literal and text in [str(choice) for choice in get_args(each)]:
            return next(choice for choice in get_args(each) if str(choice) == text)
    raise ValueError(f"{kind(text)}, expected {words(wanted)}")


def fill(
    options: Mapping[str, Any], run: Callable[..., Any], parameters: Mapping[str, str | None]
) -> tuple[dict[str, Any], list[Flaw]]:
    """Replace each ``${param:name}`` that is a whole value; also return what was wrong with any of them.

    A parameter's text becomes what its option wants where that is simple (``"50"`` for a whole number).
    One without a value (None) becomes `UNSET`.
    """
    known = options_of(run) or {}
    found: list[Flaw] = []
    filled = {}
    for name, value in options.items():
        wanted = known[name].wanted if name in known else Any
        filled[name] = _filled(value, wanted, parameters, f"/with/{escape(name)}", found)
    return filled, found


def _filled(
    value: Any, wanted: Any, parameters: Mapping[str, str | None], pointer: str, found: list[Flaw]
) -> Any:
    if isinstance(value, Mapping):
        return {
            key: _filled(each, Any, parameters, f"{pointer}/{escape(str(key))}", found)
            for key, each in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_filled(each, Any, parameters, f"{pointer}/{i}", found) for i, each in enumerate(value)]
    if not isinstance(value, str):
        return value
    text = parameter(value, parameters, pointer, found)
    if isinstance(text, UnsetParameter) or text is value:
        return text
    try:
        return coerce(text, wanted)
    except ValueError as error:
        found.append(Flaw(pointer, f"the parameter {value} is {error}"))
        return UNSET


def references(value: Any) -> set[str]:
    """The names of all ``${param:name}`` in a value."""
    if isinstance(value, Mapping):
        return references(list(value.values()))
    if isinstance(value, (list, tuple)):
        return {name for each in value for name in references(each)}
    found = parse_reference(value) if isinstance(value, str) else None
    return {found[1]} if found is not None and found[0] == "param" else set()


def parameter(
    value: str, parameters: Mapping[str, str | None], pointer: str, found: list[Flaw]
) -> str | UnsetParameter:
    """The value of ``${param:name}``, the text itself when it is no reference, `UNSET` without a value."""
    reference = parse_reference(value)
    if reference is None:
        return value
    scheme, name = reference
    if scheme != "param":
        hint = "here only ${param:name} is filled in; secrets belong to accounts"
        found.append(Flaw(pointer, f"{value} is not filled in here", hint))
        return UNSET
    if name not in parameters:
        hint = near(name, parameters) or "declare it under `parameters:` of the pipeline"
        found.append(Flaw(pointer, f"the pipeline has no parameter {name!r}", hint))
        return UNSET
    text = parameters[name]
    return UNSET if text is None else text
