"""Someone who signs in, over plain HTTP (chromium.py: in a real browser). Knows forms, not servers."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx

PASSWORD = "sandbox"
# What is pressed to say no: by name, by value.
NO = ("deny", "abort", "cancel")
STEPS = 20


@dataclass
class Form:
    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)  # of the fields, those that a person fills in
    buttons: list[tuple[str, str]] = field(default_factory=list)

    def filled(self, answers: dict[str, str], deny: bool) -> dict[str, str]:
        """What a browser would send once a person filled this in and pressed a button."""
        data = self.fields | {name: answers[name] for name in self.asked if name in answers}
        no = [button for button in self.buttons if {part.lower() for part in button} & set(NO)]
        # A page without a way to say no is one on the way there.
        name, value = no[0] if deny and no else next((b for b in self.buttons if b not in no), ("", ""))
        return data | ({name: value} if name else {})


class Page(HTMLParser):
    """The forms of a page; a button outside a form may name it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._by_id: dict[str, Form] = {}
        self._open: Form | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._open = Form(given.get("action", ""), given.get("method", "get").lower())
            self.forms.append(self._open)
            self._by_id[given.get("id", "")] = self._open
        form = self._by_id.get(given["form"]) if "form" in given else self._open
        if form is None:
            return
        name, value, kind = given.get("name", ""), given.get("value", ""), given.get("type", "").lower()
        if (tag == "button" and kind in ("", "submit")) or (tag == "input" and kind == "submit"):
            form.buttons.append((name, value))
        elif tag == "input" and name and (kind not in ("checkbox", "radio") or "checked" in given):
            form.fields[name] = value
            if kind in ("", "text", "password", "email"):
                form.asked.append(name)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None


def answers_of(login: str, user_code: str | None) -> dict[str, str]:
    """What a person knows, by the names forms ask for it."""
    known = {"login": login, "username": login, "password": PASSWORD}
    return known if user_code is None else known | {"user_code": user_code}


def plain_person(
    url: str,
    login: str = "ada",
    *,
    deny: bool = False,
    user_code: str | None = None,
    client: httpx.Client | None = None,
) -> httpx.Response:
    """Open `url`, sign in, consent (or not), follow wherever that leads; the page it ended at.

    That is the page behind the redirect URI, whoever listens there, or the last one of the device flow, or one
    that refuses. A `client` of one's own keeps the cookies, so that the next time nobody is asked for a name.
    """
    if client is None:
        with httpx.Client(trust_env=False, timeout=10) as client:
            return plain_person(url, login, deny=deny, user_code=user_code, client=client)
    origin = urlsplit(url).netloc
    answers = answers_of(login, user_code)
    sent: set[tuple[str, tuple[str, ...]]] = set()
    page = client.get(url)
    for _ in range(STEPS):
        here = str(page.url)
        if page.is_redirect:
            page = client.get(urljoin(here, page.headers["location"]))
            continue
        forms = Page(page.text).forms if "html" in page.headers.get("content-type", "") else []
        if urlsplit(here).netloc != origin or page.is_error or not forms:
            return page
        form = forms[0]
        data, target = form.filled(answers, deny), urljoin(here, form.action or here)
        if (target, tuple(sorted(data))) in sent:
            return page  # It did not take the answer, and there is no other.
        sent.add((target, tuple(sorted(data))))
        page = client.post(target, data=data) if form.method == "post" else client.get(target, params=data)
    raise AssertionError(f"still asked for more after {STEPS} pages, the last one {page.url}")
