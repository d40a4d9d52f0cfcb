"""Whether a bound account's URLs can be filled, and may carry a secret.

Rules of this room: an account that passes here raises no TemplateError later, except for names that an
answer of the server fills.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from connector.account import Account
from connector.accountspec import AccountSpec
from connector.check import any_of
from connector.endpoint import Endpoint
from connector.endpointcheck import captures
from connector.errors import Problem
from connector.template import TemplateError, fill, fill_url, is_loopback, names


def check_urls(spec: AccountSpec, account: Account, *, unresolved: bool) -> list[Problem]:
    """What keeps the account's URLs from being built.

    Args:
        unresolved: some settings are references not followed yet, so that filled URLs prove nothing.
    """
    # The first is enough: what one URL lacks, the others lack too.
    for what, templates in _urls(account):
        problem = _missing(spec, account, what, templates)
        if problem is None and not unresolved:
            problem = _wrong(spec, account, what, templates)
        if problem is not None:
            return [problem]
    return []


def _urls(account: Account) -> Iterator[tuple[str, tuple[str, ...]]]:
    endpoint = account.endpoint
    yield "token URL", endpoint.token.url
    yield "token URL", endpoint.refresh.request.url
    if account.grant == "authorization_code":
        yield "authorization URL", endpoint.authorize.url
    for template in (endpoint.discovery, endpoint.issuer):
        yield "issuer", (template,) if template else ()
    yield "redirect URI", endpoint.authorize.redirect_uri
    for what, place in (
        ("revocation URL", endpoint.revoke),
        ("device authorization URL", endpoint.device if account.grant == "device_code" else None),
        ("introspection URL", endpoint.introspect),
        ("user-info URL", endpoint.userinfo),
    ):
        yield what, place.url if place else ()
    yield "base URL", endpoint.api.base_url


def _chosen(account: Account, templates: tuple[str, ...]) -> str | None:
    values = account.names()
    return next((t for t in templates if all(values.get(name) for name in names(t))), None)


def _missing(spec: AccountSpec, account: Account, what: str, templates: tuple[str, ...]) -> Problem | None:
    if not templates or _chosen(account, templates) is not None:
        return None
    values, endpoint = account.names(), account.endpoint
    wanted = [
        sorted({s for name in names(t) if not values.get(name) for s in _behind(name, endpoint.vars)})
        for t in templates
    ]
    if any(all(_filled_later(name, endpoint) for name in alternative) for alternative in wanted):
        return None
    alternatives = list(dict.fromkeys(" and ".join(alternative) for alternative in wanted))
    required = {
        n for n, s in endpoint.settings.items() if s.get("x-required", True) and n not in account.settings
    }
    if any(set(alternative) <= required for alternative in wanted):
        return None  # each of them is reported by itself as missing
    steps = ["settings"] if "settings" in spec.data else []
    message = (
        f"the {what} of {endpoint.title or endpoint.name} cannot be built without {any_of(alternatives)}"
    )
    hint = f"add settings: {{{wanted[-1][0]}: ...}}" if not steps else f"add {wanted[-1][0]}: ..."
    return spec.problem(message, *steps, hint=hint, key=bool(steps))


def _behind(name: str, computed: Mapping[str, Any]) -> list[str]:
    """The settings a name depends on: itself, or those its var is computed from."""
    how = computed.get(name)
    if isinstance(how, Mapping) and "from" in how:
        return [str(how["from"])]
    if isinstance(how, Mapping):
        how = next(iter(how.values()))
    return sorted(names(how)) if isinstance(how, str) and names(how) else [name]


def _filled_later(name: str, endpoint: Endpoint) -> bool:
    if name in captures(endpoint.spec):
        return True
    return str(endpoint.settings.get(name, {}).get("x-filled-by", "user")) != "user"


def _wrong(spec: AccountSpec, account: Account, what: str, templates: tuple[str, ...]) -> Problem | None:
    template = _chosen(account, templates)
    if template is None:
        return None
    try:
        fill_url(template, account.names())
    except TemplateError:
        # Its own words may repeat a setting's value.
        steps = ["settings"] if "settings" in spec.data else ["oauth2_endpoint"]
        message = f"with these settings the {what} is not one that a secret may travel to"
        return spec.problem(message, *steps, hint="host names only, https except on loopback")
    return None


def on_loopback(account: Account) -> bool:
    """Whether every URL of the account stays on this machine, so that its secret protects nothing.

    With a local service, what is not filled in yet is that service's own.
    """
    endpoint = account.endpoint
    values = account.names()
    for _, templates in _urls(account):
        template = _chosen(account, templates)
        if template is None:
            if templates and not endpoint.service:
                return False
            continue
        try:
            host = urlsplit(fill_url(template, values)).hostname or ""
        except TemplateError:
            return False
        if not is_loopback(host):
            return False
    return all(_local_host(host, values, served=bool(endpoint.service)) for host in endpoint.api.hosts)


def _local_host(host: str, values: Mapping[str, str], *, served: bool) -> bool:
    try:
        return is_loopback((urlsplit("//" + fill(host, values)).hostname) or "")
    except (TemplateError, ValueError):
        return served
