"""What the schema cannot say about an endpoint: templates that can be filled, URLs fit for secrets, headers.

Rules of this room: a spec that has passed the schema, ``extends`` merged, goes in; problems come out.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from connector.accountspec import bad_header, bad_host
from connector.check import near_miss
from connector.endpointparts import WITHOUT_CALL
from connector.endpointsecrets import Report, clear_secrets
from connector.errors import Problem
from connector.filling import CHANGES
from connector.template import TemplateError, fill, fill_url, has_control, names

Steps = tuple[str | int, ...]

REQUESTS = ("token", "refresh", "revoke", "device", "par", "introspect", "userinfo")
STEPS = ("exchange", "discover", "test")
# What templates may name beside settings, vars and captured values; see docs/endpoint-schema.md.
OF_ACCOUNT = frozenset({"api_key", "username", "password", "bearer_token", "client_secret"})
OF_CALL = OF_ACCOUNT | {"scope", "jwt", "now", "now_ms", "unique", "redirect_uri"}
OF_TOKEN = frozenset({"access_token", "refresh_token"})
_SENT = ("params", "query", "headers", "basic")


def check_endpoint(spec: Mapping[str, Any], report: Report) -> list[Problem]:
    """Everything wrong with one endpoint; `report(message, steps, hint)` knows where it was written."""
    found = [*_structure(spec, report)]
    for where, part in _parts(spec):
        known = _known(spec, part)
        for place in _places(part):
            found += _template(place, where, known, report)
        found += _steps(part, where, report)
        calls = [*(((name,), part.get(name, {})) for name in REQUESTS), *_each_step(part)]
        found += clear_secrets(part, where, calls, _fixed(spec), report)
    for steps, text in _texts(spec, ()):
        if has_control(text) and steps[0] not in ("description", "title", "settings"):
            found.append(report("a control character may not reach a header or URL", steps, "remove it"))
    return [*found, *_api(spec, report), *_settings(spec, report)]


def _structure(spec: Mapping[str, Any], report: Report) -> Iterator[Problem]:
    if spec.get("authorize", {}).get("iss") and not (spec.get("discovery") or spec.get("issuer")):
        yield report(
            "without an issuer there is nothing to compare", ("authorize", "iss"), "add issuer: https://..."
        )
    if spec.get("discovery") or spec.get("issuer"):
        return  # the server's metadata tells the rest
    grants = spec.get("grants", ())
    calls = not grants or any(grant not in WITHOUT_CALL for grant in grants)
    if calls and not spec.get("token", {}).get("url") and "plugin" not in spec:
        yield report("no token URL", ("token",), "write token: {url: https://...}")
    if "authorization_code" in grants and not spec.get("authorize", {}).get("url"):
        yield report(
            "authorization_code needs an authorization URL",
            ("grants",),
            "write authorize: {url: https://...}",
        )


def _parts(spec: Mapping[str, Any]) -> Iterator[tuple[Steps, Mapping[str, Any]]]:
    """The endpoint itself and what it says differently for single grants."""
    yield (), spec
    grants = spec.get("grants")
    if isinstance(grants, Mapping):
        for grant, override in grants.items():
            if override:
                yield ("grants", grant), {**override, "settings": spec.get("settings", {}), "vars": {}}


def _known(spec: Mapping[str, Any], part: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(
        {"client_id", *spec.get("settings", {}), *spec.get("vars", {}), *captures(spec), *captures(part)}
    )


def _fixed(spec: Mapping[str, Any]) -> frozenset[str]:
    """Vars that stand for one text, whoever's account it is."""
    texts = {name: var for name, var in spec.get("vars", {}).items() if isinstance(var, str)}
    with contextlib.suppress(TemplateError):  # reported as a template
        return frozenset(name for name, text in texts.items() if not names(text))
    return frozenset()


def captures(spec: Mapping[str, Any]) -> set[str]:
    """Names that answers of the server fill."""
    found = {*spec.get("response", {}).get("capture", {})}
    found |= {*spec.get("authorize", {}).get("callback", {}).get("capture", {})}
    for _, step in _each_step(spec):
        found |= {*step.get("set", {}), *step.get("response", {}).get("capture", {})}
    return found


def _each_step(spec: Mapping[str, Any]) -> Iterator[tuple[Steps, Mapping[str, Any]]]:
    for name in STEPS:
        said = spec.get(name)
        for i, step in enumerate(said if isinstance(said, list) else [said] if said else []):
            yield (name, i) if isinstance(said, list) else (name,), step


@dataclass(frozen=True, slots=True)
class _Place:
    """A template and where it stands: what it may name there, and whether it must be a URL."""

    steps: Steps
    template: str
    may: frozenset[str] = frozenset()
    url: bool = False


def _places(spec: Mapping[str, Any]) -> Iterator[_Place]:
    authorize = spec.get("authorize", {})
    for key in ("url", "redirect_uri"):
        yield from _all(authorize.get(key), ("authorize", key), url=True)
    yield from _all(
        authorize.get("params"),
        ("authorize", "params"),
        frozenset({"scope", "redirect_uri", "unique", "now", "now_ms"}),
    )
    for request in REQUESTS:
        yield from _call(spec.get(request, {}), (request,), OF_CALL | OF_TOKEN)
    for steps, step in _each_step(spec):
        yield from _call(step, steps, OF_CALL | OF_TOKEN)
        yield from _all(step.get("path"), (*steps, "path"))
        yield from _all(step.get("pick", {}).get("where"), (*steps, "pick", "where"))
    jwt = spec.get("jwt", {})
    for key in ("key", "header", "claims"):
        yield from _all(jwt.get(key), ("jwt", key), OF_CALL - {"jwt"})
    api = spec.get("api", {})
    yield from _all(api.get("base_url"), ("api", "base_url"), url=True)
    yield from _all(api.get("hosts"), ("api", "hosts"))
    for key in ("headers", "query", "basic"):
        yield from _all(api.get(key), ("api", key), OF_ACCOUNT | {"access_token"})
    yield from _all(spec.get("scopes", {}).get("default"), ("scopes", "default"))
    for key in ("issuer", "discovery"):
        yield from _all(spec.get(key), (key,), url=True)
    for name, var in spec.get("vars", {}).items():
        if isinstance(var, str):
            yield _Place(("vars", name), var, OF_CALL | OF_TOKEN)
            continue
        for key in ("map", "default", *CHANGES):
            yield from _all(var.get(key), ("vars", name, key), OF_CALL | OF_TOKEN)


def _call(spec: Mapping[str, Any], steps: Steps, may: frozenset[str]) -> Iterator[_Place]:
    yield from _all(spec.get("url"), (*steps, "url"), url=True)
    for key in _SENT:
        if not isinstance(spec.get(key), str):  # `basic: raw` is no template
            yield from _all(spec.get(key), (*steps, key), may)


def _all(
    value: Any, steps: Steps, may: frozenset[str] = frozenset(), *, url: bool = False
) -> Iterator[_Place]:
    for at, text in _texts(value, steps):
        yield _Place(at, text, may, url)


def _texts(value: Any, steps: Steps) -> Iterator[tuple[Steps, str]]:
    if isinstance(value, str):
        yield steps, value
    elif isinstance(value, (Mapping, list)):
        for step, inner in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from _texts(inner, (*steps, step))


def _template(place: _Place, where: Steps, base: frozenset[str], report: Report) -> Iterator[Problem]:
    template, steps, known = place.template, (*where, *place.steps), base | place.may
    if "${" in template:
        message = "endpoints cannot read secrets or the environment: ${...} has no place here"
        yield report(message, steps, "ask for the value in settings and write {name}")
        return
    try:
        asked = names(template)
    except TemplateError as error:
        yield report(str(error), steps, "")
        return
    for name in sorted(asked - known):
        if name in OF_CALL | OF_TOKEN and place.url:
            yield report(f"{{{name}}} is a secret, and a URL ends up in logs", steps, _IN_URL)
            continue
        near = near_miss(name, known)
        hint = f"did you mean {{{near}}}?" if near else "known here: " + ", ".join(sorted(base))
        yield report(f"{{{name}}} is neither a setting nor a var nor captured", steps, hint)
    if asked <= known and place.url:
        yield from _url(template, asked, steps, report)


_IN_URL = (
    "send it in params, query or headers; of an API: api: {token: {in: path}} puts it behind the base URL"
)


def _steps(part: Mapping[str, Any], where: Steps, report: Report) -> Iterator[Problem]:
    for steps, step in _each_step(part):
        if not step.get("url") and not step.get("path"):
            yield report(
                "a call without a place to go", (*where, *steps), "add path: /... or url: https://..."
            )
    for name in (*REQUESTS, *STEPS):
        calls: list[tuple[Steps, Mapping[str, Any]]] = []
        calls += [((name,), part.get(name, {}))] if name in REQUESTS else []
        calls += [(steps, step) for steps, step in _each_step(part) if steps[0] == name]
        for steps, call in calls:
            if call.get("body") == "json":
                continue
            for key, value in call.get("params", {}).items():
                if isinstance(value, Mapping):
                    message = "a mapping has a place in a JSON body only"
                    yield report(message, (*where, *steps, "params", key), "say body: json")


def _url(template: str, asked: frozenset[str], steps: Steps, report: Report) -> Iterator[Problem]:
    # Filled with harmless samples the template must be a URL that secrets may travel to.
    samples = dict.fromkeys(asked, "1")
    whole = re.match(r"\{([A-Za-z_][A-Za-z0-9_-]*)\}", template)
    if whole and "://" not in template:
        samples[whole[1]] = "https://sample.invalid"
    try:
        fill_url(template, samples)
    except TemplateError as error:
        reason = _reason(template, error)
        yield report(reason, steps, "write https://... in full" if reason == "this is not a URL" else "")


def _reason(template: str, error: TemplateError) -> str:
    return "this is not a URL" if "://" not in template else str(error)


def _api(spec: Mapping[str, Any], report: Report) -> Iterator[Problem]:
    api, settings = spec.get("api", {}), spec.get("settings", {})
    for i, host in enumerate(api.get("hosts", ())):
        try:
            sample = fill(host, dict.fromkeys(names(host), "sample"))
        except TemplateError:
            continue  # reported as a template
        if reason := bad_host(sample):
            yield report(reason, ("api", "hosts", i), "write api.example.com or *.example.com")
    for name in api.get("headers", {}):
        # An endpoint may say itself what its Authorization header is made of.
        reason = bad_header(name)
        if reason and name.lower() != "authorization":
            yield report(reason, ("api", "headers", name), "")
    for steps, text in _texts(api.get("base_url"), ("api", "base_url")):
        with contextlib.suppress(TemplateError):
            if "?" in text:
                yield report("a base URL has no query: paths follow it", steps, "write api: {query: {...}}")
            for name in sorted(names(text)):
                if settings.get(name, {}).get("x-secret"):
                    yield report(f"{{{name}}} is a secret, and a URL ends up in logs", steps, _IN_URL)


def _fits(setting: Mapping[str, Any]) -> bool:
    return re.fullmatch(setting.get("pattern", ".*"), str(setting["default"]), re.DOTALL) is not None


def _one_form(var: Mapping[str, Any]) -> bool:
    return len(var.keys() & {"map", *CHANGES}) == 1 and ("from" in var) == ("map" in var)


def _settings(spec: Mapping[str, Any], report: Report) -> Iterator[Problem]:
    settings = spec.get("settings", {})
    for name, setting in settings.items():
        try:
            re.compile(setting.get("pattern", ""))
        except re.error:
            yield report("this is not a regular expression", ("settings", name, "pattern"), "")
        else:
            if "default" in setting and not _fits(setting):
                yield report("the default does not fit the pattern", ("settings", name, "default"), "")
        if "default" in setting and "enum" in setting and setting["default"] not in setting["enum"]:
            yield report("the default is not among the choices", ("settings", name, "default"), "")
    for name in sorted({*settings} & {*spec.get("vars", {})}):
        yield report(f"{name} is a setting already", ("vars", name), "give the var another name")
    for name, var in spec.get("vars", {}).items():
        if isinstance(var, Mapping) and not _one_form(var):
            hint = "write {from: SETTING, map: {...}}, or one of base64, lower, upper"
            yield report("a var is a text, a table, or one change of a text", ("vars", name), hint)
        elif isinstance(var, Mapping) and "from" in var and var["from"] not in settings:
            near = near_miss(var["from"], settings)
            hint = f"did you mean {near}?" if near else ""
            yield report(f"there is no setting {var['from']}", ("vars", name, "from"), hint)
