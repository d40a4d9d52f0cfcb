"""What the schema cannot say about an endpoint: templates that can be filled, URLs fit for secrets, headers.

Rules of this room: a spec that has passed the schema, ``extends`` merged, goes in; problems come out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from connector.accountspec import bad_header, bad_host
from connector.check import near_miss
from connector.errors import Problem
from connector.template import TemplateError, fill, fill_url, has_control, names

Report = Callable[[str, Sequence[str | int], str], Problem]
Steps = tuple[str | int, ...]

REQUESTS = ("authorize", "token", "refresh", "revoke", "device", "par", "introspect", "userinfo")


_URLS = ("url", "base_url", "redirect_uri", "issuer", "discovery")


def check_endpoint(spec: Mapping[str, Any], report: Report) -> list[Problem]:
    """Everything wrong with one endpoint; `report(message, steps, hint)` knows where it was written."""
    found = [*_structure(spec, report)]
    for where, part in _parts(spec):
        known = _known(spec, part)
        for steps, template in _templates(part):
            found += _template(template, (*where, *steps), known, report)
    for steps, text in _texts(spec, ()):
        if has_control(text) and steps[0] not in ("description", "title"):
            found.append(report("a control character may not reach a header or URL", steps, "remove it"))
    return [*found, *_api(spec.get("api", {}), report), *_settings(spec, report)]


def _structure(spec: Mapping[str, Any], report: Report) -> Iterator[Problem]:
    if spec.get("authorize", {}).get("iss") and not (spec.get("discovery") or spec.get("issuer")):
        yield report(
            "without an issuer there is nothing to compare", ("authorize", "iss"), "add issuer: https://..."
        )
    if spec.get("discovery") or spec.get("issuer"):
        return  # the server's metadata tells the rest
    if not spec.get("token", {}).get("url"):
        yield report("no token URL", ("token",), "write token: {url: https://...}")
    grants = spec.get("grants", ())
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


def _known(spec: Mapping[str, Any], part: Mapping[str, Any]) -> set[str]:
    captured = {**spec.get("response", {}).get("capture", {}), **part.get("response", {}).get("capture", {})}
    return {"client_id", *spec.get("settings", {}), *spec.get("vars", {}), *captured}


def _templates(spec: Mapping[str, Any]) -> Iterator[tuple[Steps, str]]:
    for request in REQUESTS:
        for key in ("url", "params", "query", "headers", "redirect_uri"):
            yield from _texts(spec.get(request, {}).get(key), (request, key))
    for key in ("base_url", "hosts", "headers", "query"):
        yield from _texts(spec.get("api", {}).get(key), ("api", key))
    yield from _texts(spec.get("scopes", {}).get("default"), ("scopes", "default"))
    yield from _texts(spec.get("test", {}).get("path"), ("test", "path"))
    for key in ("issuer", "discovery"):
        yield from _texts(spec.get(key), (key,))
    for name, var in spec.get("vars", {}).items():
        if isinstance(var, str):
            yield ("vars", name), var
        else:
            yield from _texts(var["map"], ("vars", name, "map"))
            yield from _texts(var.get("default"), ("vars", name, "default"))


def _texts(value: Any, steps: Steps) -> Iterator[tuple[Steps, str]]:
    if isinstance(value, str):
        yield steps, value
    elif isinstance(value, (Mapping, list)):
        for step, inner in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from _texts(inner, (*steps, step))


def _template(template: str, steps: Steps, known: set[str], report: Report) -> Iterator[Problem]:
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
        near = near_miss(name, known)
        hint = f"did you mean {{{near}}}?" if near else "known here: " + ", ".join(sorted(known))
        yield report(f"{{{name}}} is neither a setting nor a var nor captured", steps, hint)
    if asked <= known and steps[-1 if isinstance(steps[-1], str) else -2] in _URLS:
        yield from _url(template, asked, steps, report)


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


def _api(api: Mapping[str, Any], report: Report) -> Iterator[Problem]:
    for i, host in enumerate(api.get("hosts", ())):
        try:
            sample = fill(host, dict.fromkeys(names(host), "sample"))
        except TemplateError:
            continue  # reported as a template
        if reason := bad_host(sample):
            yield report(reason, ("api", "hosts", i), "write api.example.com or *.example.com")
    for name in api.get("headers", {}):
        if reason := bad_header(name):
            yield report(reason, ("api", "headers", name), "")


def _fits(setting: Mapping[str, Any]) -> bool:
    return re.fullmatch(setting.get("pattern", ".*"), str(setting["default"]), re.DOTALL) is not None


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
        if isinstance(var, Mapping) and var["from"] not in settings:
            near = near_miss(var["from"], settings)
            hint = f"did you mean {near}?" if near else ""
            yield report(f"there is no setting {var['from']}", ("vars", name, "from"), hint)
