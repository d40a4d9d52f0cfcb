"""The API of a persona, and the steps that go to it: the token where the file says, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import unquote, urlsplit

from starlette.responses import JSONResponse, Response

from connector.sandbox.persona.answers import expired
from connector.sandbox.persona.bound import prove
from connector.sandbox.persona.checking import Call, Checking, same_address
from connector.sandbox.persona.places import Answer, put
from connector.sandbox.persona.provider import STATIC, Outcome, Persona
from connector.sandbox.persona.seen import Complaint, Seen
from connector.sandbox.persona.signed import check_declared
from connector.sandbox.persona.standing import call_of
from connector.sandbox.persona.texts import Values, fill, fill_path, fill_url, many, status_of, usable, wrong

Steps = tuple[str | int, ...]


class Carried:
    """What a request carries, compared with where the file wants it.

    Attributes:
        token: what came as the token; empty: nothing did.
    """

    def __init__(self, persona: Persona, seen: Seen, *, whole: bool) -> None:
        self.persona, self.seen = persona, seen
        self.api = persona.spec.get("api", {})
        self.complaints: list[Complaint] = []
        self.token = ""
        self.values = persona.values("all", {"access_token": self._look, "refresh_token": lambda text: ""})
        self._place()
        if whole:
            self._declared("headers", lambda name: seen.headers.get(name))
            query = dict(seen.query)
            self._declared("query", query.get)

    def _look(self, text: str) -> str:
        self.token = text
        return ""

    def complain(self, steps: Steps, words: str) -> None:
        """Note what is wrong."""
        self.complaints.append(Complaint(steps=steps, words=words))

    def _place(self) -> None:
        token, basic = self.api.get("token", {}), self.api.get("basic")
        own = "authorization" in {name.lower() for name in self.api.get("headers", {})}
        where = token.get("in", "none" if own and not token else "header")
        name = token.get("name", "Authorization")
        if self.persona.grant == "none":
            return
        if basic is None and self.persona.grant == "basic":
            basic = {"username": "{username}", "password": "{password}"}
        if basic is not None:
            self._basic(basic)
            if where == "header" and name.lower() == "authorization":
                return
        if self.persona.grant == "basic" or where == "none":
            return
        got = self._found(where, name)
        bound = bool(self.persona.spec.get("dpop")) and self.persona.grant not in STATIC
        prefix = "DPoP " if bound else token.get("prefix", "Bearer " if where == "header" else "")
        if got is None:
            self.complain(("api", "token"), f"no token came in the {where}" + f" {name}" * (where != "path"))
        elif not got.startswith(prefix):
            self.complain(("api", "token", "prefix"), f"the token did not stand behind {prefix!r}")
        else:
            self.token = got.removeprefix(prefix)
            if bound:
                self._proof()
        if (where, name.lower()) != ("header", "authorization") and basic is None:
            self._no_authorization()

    def _proof(self) -> None:
        key, said = prove(self.seen, self.persona.clock(), self.token)
        if said or key != self.persona.bound_to:
            self.complain(("dpop",), said or "another key was proven than that of the login")

    def _no_authorization(self) -> None:
        declared = {name.lower() for name in self.api.get("headers", {})}
        if "authorization" in self.seen.headers and "authorization" not in declared:
            self.complain(("api", "token"), "an Authorization header came, which nothing declares")

    def _found(self, where: str, name: str) -> str | None:
        if where == "query":
            return dict(self.seen.query).get(name)
        if where == "cookie":
            return self.seen.cookies.get(name)
        if where == "path":
            base = urlsplit(base_url(self.persona)).path.rstrip("/")
            first, _, _ = self.seen.raw_path.removeprefix(base).lstrip("/").partition("/")
            return unquote(first) or None
        return self.seen.headers.get(name)

    def _basic(self, pair: dict[str, str]) -> None:
        got = self.seen.basic
        if got is None:
            self.complain(("api", "basic"), "no Basic header came")
            return
        for name, text in zip(("username", "password"), got, strict=True):
            if wrong(pair.get(name, ""), self.values, text):
                self.complain(("api", "basic", name), f"another {name} stood in the Basic header")

    def _declared(self, key: str, get: Any) -> None:
        for name, declared in self.api.get(key, {}).items():
            template = usable(many(declared), self.values)
            got = get(name)
            if template is None:
                continue
            if got is None:
                self.complain(("api", key, name), f"{name} was not sent")
            elif said := wrong(template, self.values, got):
                self.complain(("api", key, name), f"{name}: {said}")


def base_url(persona: Persona) -> str:
    """Return the API's base URL; empty: the file has none."""
    return fill_url(persona.spec.get("api", {}).get("base_url"), persona.values("all"))


def step_url(persona: Persona, call: Call) -> str:
    """Return where a step goes."""
    values = persona.values("all", {"access_token": lambda text: ""})
    if "url" in call.spec:
        return fill_url(call.spec["url"], values)
    path = usable(many(call.spec.get("path")), values)
    if path is None:
        return ""
    if path.startswith("{") and "://" in fill(path, values):
        return fill_url(path, values)
    filled = fill_path(path, values)
    return f"{base_url(persona).rstrip('/')}/{filled.lstrip('/')}"


def without_segment(persona: Persona, seen: Seen) -> Seen:
    """Return a request without the segment of its path that holds the token, where that is its place."""
    base = urlsplit(base_url(persona)).path.rstrip("/")
    if persona.spec.get("api", {}).get("token", {}).get("in") != "path" or not seen.raw_path.startswith(base):
        return seen
    _, _, rest = seen.raw_path.removeprefix(base).lstrip("/").partition("/")
    return replace(seen, path=unquote(f"{base}/{rest}"), raw_path=f"{base}/{rest}")


def check_step(persona: Persona, seen: Seen, call: Call, *, level: int) -> Checking:
    """Compare a step with what the file declares of it; `level`: of the token that it must carry."""
    tokens: list[str] = []

    def look(text: str) -> str:
        tokens.append(text)
        return ""

    values = persona.values("all", {"access_token": look, "refresh_token": lambda text: ""})
    token = persona.spec.get("api", {}).get("token", {})
    carries = call.spec.get("authenticated", call.steps[0] != "exchange")
    along = {*persona.spec.get("api", {}).get("query", {})} if carries else set()
    if carries and token.get("in") == "query":
        along.add(token.get("name", ""))
    left = (part for part in seen.raw_query.split("&") if unquote(part.partition("=")[0]) not in along)
    plain = replace(seen, raw_query="&".join(left))
    call.spec = {**call.spec, "x-carries": carries}
    checking = Checking(call, plain, values, persona.subject, now=persona.clock(), issuer=persona.issuer)
    checking.check({}, default_method="GET", url=step_url(persona, call))
    if carries:
        carried = Carried(persona, seen, whole=False)
        if carried.complaints and not _may_see(persona, seen):
            checking.complain(
                ("api", "hosts"), f"{seen.host} is none of the API's hosts: no token went there"
            )
        else:
            checking.complaints += carried.complaints
        tokens.append(carried.token)
    for text in tokens:
        said = persona.ledger.usable(text, level) if text and persona.grant not in STATIC else ""
        if said == "early" and level == len(persona.exchange):
            checking.complain(("exchange",), _STATES["early"])
        elif said in ("unknown", "early"):
            checking.complain(call.steps, "the token is not that of the step before")
    return checking


def step_answer(persona: Persona, calls: list[Call]) -> Answer:
    """Return what steps at one address are answered: one answer that serves them all."""
    answer = Answer()
    lists: dict[str, _Listed] = {}
    for call in calls:
        spec = call.spec
        answer.status = status_of(spec.get("expect"), 200)
        pick = spec.get("pick")
        listed = None
        if pick is not None:
            listed = lists.setdefault(pick.get("from", ""), _Listed())
            listed.choose(pick, persona.values("all"))
        for name, places in spec.get("set", {}).items():
            place = str(many(places)[0])
            if listed is not None and place.startswith("/"):
                listed.element = put(listed.element, _steps(place), persona.captures[name], place)
            else:
                answer.put(place, persona.captures[name])
        place = str(many(spec.get("label", "/x-nothing"))[0])
        if "label" in spec and answer.get(place) is None:
            answer.put(place, persona.subject.person)
    for place, listed in lists.items():
        answer.put(place, listed.whole())
    return answer


class _Listed:
    """A list in an answer, one element of which is the account's."""

    def __init__(self) -> None:
        self.element: Any = {}
        self.other: Any = {}
        self.first = self.meant = False

    def choose(self, pick: dict[str, Any], values: Values) -> None:
        """Let the conditions of a step fit this element, and none of the others."""
        self.first = self.first or pick.get("first", False)
        for place, wanted in pick.get("where", {}).items():
            choice = usable(many(wanted), values)
            if choice is None:
                continue
            self.meant = True
            fits = fill(choice, values) if isinstance(choice, str) else choice
            self.element = put(self.element, _steps(place), fits, place)
            strange = not fits if isinstance(fits, bool) else "somebody else's"
            self.other = put(self.other, _steps(place), strange, place)

    def whole(self) -> list[Any]:
        """Return the list."""
        if self.meant:
            return [self.other, self.element, self.other]
        return [self.element, self.other] if self.first else [self.element]


def _steps(pointer: str) -> list[str]:
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def api_outcomes(persona: Persona, seen: Seen) -> list[Outcome]:
    """Return what the API makes of a request: a step, the user-info endpoint, or any other path of it."""
    found = []
    steps = [(call, "discover") for call in persona.discover] + [(call, "test") for call in persona.test]
    here = [
        (call, name)
        for call, name in steps
        if same_address(without_segment(persona, seen), step_url(persona, call))
    ]
    for call, name in here:
        checking = check_step(persona, seen, call, level=len(persona.exchange))
        if call.spec["x-carries"]:
            carried = Carried(persona, seen, whole=False)
            found.append(Outcome(name, _steps_or_expired(persona, carried, here), checking.complaints))
        else:
            found.append(
                Outcome(
                    name, lambda: step_answer(persona, [c for c, _ in here]).response(), checking.complaints
                )
            )
    if "userinfo" in persona.spec and call_of(persona.spec, "userinfo").is_at(seen, persona.values("all")):
        carried = Carried(persona, seen, whole=False)
        if not carried.token:
            carried.complain(("userinfo", "url"), "it came without the token: is its host under api.hosts?")
        found.append(_api(persona, carried, "userinfo"))
    if not found and _is_api(persona, seen):
        found.append(_api(persona, Carried(persona, seen, whole=True), "api"))
    return found


def _steps_or_expired(persona: Persona, carried: Carried, here: list[tuple[Call, str]]) -> Any:
    def answer() -> Response:
        if state(persona, carried) == "expired":
            return expired(carried.api, persona.turn).response()
        return step_answer(persona, [call for call, _ in here]).response()

    return answer


def _api(persona: Persona, carried: Carried, name: str) -> Outcome:
    said = state(persona, carried) if not carried.complaints else ""
    if said not in ("", "expired"):
        carried.complain(("exchange",) if said == "early" else ("api", "token"), _STATES.get(said, said))

    def answer() -> Response:
        if said == "expired":
            return expired(carried.api, persona.turn).response()
        if name == "userinfo":
            return JSONResponse({"sub": "1", "email": persona.subject.person})
        if persona.slowed:
            persona.slowed -= 1
            return _slow(persona, many(carried.api.get("retry", {}))[persona.limit])
        return JSONResponse({"ok": True})

    return Outcome(name, answer, carried.complaints)


_STATES = {"unknown": "the token was never issued", "early": "the token has not been exchanged"}


def state(persona: Persona, carried: Carried) -> str:
    """Return what is wrong with the token that came along: empty, ``expired``, or words."""
    grant, token, secrets = persona.grant, carried.token, persona.subject.secrets
    if persona.locked:
        return "expired"
    if grant in ("basic", "none"):
        return ""
    if grant in ("api_key", "bearer"):
        name = "api_key" if grant == "api_key" else "bearer_token"
        wanted = persona.subject.settings.get(name) or secrets.get(name)
        return "" if token in ("", wanted) else "another key came"
    if grant == "signed_jwt":
        fresh = token not in persona.seen_jwts
        persona.seen_jwts.add(token)
        if token in persona.refused_jwts:
            return "expired"
        values = persona.values("all")
        said = check_declared(
            token, persona.spec.get("jwt", {}), persona.subject, values, persona.clock(), fresh=fresh
        )
        return "expired" if said == "its claim exp is over" else said
    return persona.ledger.usable(token, len(persona.exchange))


def _slow(persona: Persona, retry: dict[str, Any]) -> Response:
    answer = Answer(status_of(retry.get("status"), 429))
    for name in retry.get("after", [] if "at" in retry else ["Retry-After"])[:1]:
        answer.headers[name] = str(persona.wait_s)
    for name in retry.get("at", [])[:1]:
        answer.headers[name] = str(int(persona.clock() + persona.wait_s))
    if "remaining" in retry:
        answer.headers[retry["remaining"]] = "0"
    for place, values in list(retry.get("body", {}).items())[:1]:
        answer.put(place, many(values)[0])
    return answer.response()


def _is_api(persona: Persona, seen: Seen) -> bool:
    """Whether a request goes to the API: below its base URL, or to another of its hosts."""
    parts = urlsplit(base_url(persona))
    if (seen.scheme, seen.host) == (parts.scheme, parts.netloc.lower()):
        return seen.raw_path.startswith(parts.path.rstrip("/"))
    return _may_see(persona, seen)


def _may_see(persona: Persona, seen: Seen) -> bool:
    """Whether the host of a request is one that may see the token."""
    base = base_url(persona)
    if base and seen.host == urlsplit(base).netloc.lower():
        return True
    values = persona.values("all")
    for host in persona.api_hosts():
        name = fill(host, values).lower()
        if seen.host == name or (name.startswith("*.") and seen.host.endswith(name[1:])):
            return True
    return not base and seen.host in own_hosts(persona)


def own_hosts(persona: Persona) -> set[str]:
    """Return the hosts of a file that describes no API: those of its own URLs."""
    urls = [
        fill_url(persona.spec.get(key, {}).get("url"), persona.values("all"))
        for key in ("authorize", "token")
    ]
    return {urlsplit(url).netloc.lower() for url in urls if url}
