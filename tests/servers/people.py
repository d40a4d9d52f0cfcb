"""Someone who signs in: over plain HTTP, or in a real browser. Knows forms, not servers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import httpx

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

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


@contextmanager
def browser() -> Iterator[Chrome]:
    """Debian's Chromium without a window, with a profile of its own; it asks nobody on the network for anything."""
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        raise AssertionError(
            "These tests need Chromium and its driver. On Debian: apt-get install chromium chromium-driver "
            "(or run .ci/servers)"
        )
    options = ChromeOptions()
    options.binary_location = chromium
    with TemporaryDirectory(prefix="chromium-") as profile:
        for flag in (
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-quic",
            "--no-first-run",
            "--no-default-browser-check",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-default-apps",
            "--disable-sync",
            "--no-proxy-server",
            # Names resolve to nothing: only addresses of loopback are reached.
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost, EXCLUDE [::1]",
            f"--user-data-dir={Path(profile) / 'profile'}",
        ):
            options.add_argument(flag)
        chrome = Chrome(options=options, service=Service(driver))
        chrome.set_page_load_timeout(20)
        try:
            yield chrome
        finally:
            chrome.quit()


def browser_person(
    url: str,
    login: str = "ada",
    *,
    deny: bool = False,
    user_code: str | None = None,
    chrome: Chrome | None = None,
) -> str:
    """As `plain_person`, by typing and clicking in Chromium; the source of the page it ended at."""
    if chrome is None:
        with browser() as chrome:
            return browser_person(url, login, deny=deny, user_code=user_code, chrome=chrome)
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.expected_conditions import staleness_of
    from selenium.webdriver.support.wait import WebDriverWait

    origin, answers = urlsplit(url).netloc, answers_of(login, user_code)
    sent: set[tuple[str, ...]] = set()
    chrome.get(url)
    for _ in range(STEPS):
        if urlsplit(chrome.current_url).netloc != origin:
            return chrome.page_source
        # In this order: a form that sends itself may be gone before its buttons are looked for.
        forms = chrome.find_elements(By.CSS_SELECTOR, "form")
        buttons = chrome.find_elements(By.CSS_SELECTOR, "button, input[type=submit]")
        if not forms:
            return chrome.page_source
        if not buttons:
            # One that sends itself.
            WebDriverWait(chrome, 10, poll_frequency=0.02).until(staleness_of(forms[0]))
            continue
        boxes = chrome.find_elements(By.CSS_SELECTOR, "input")
        asked = (chrome.current_url, *sorted(box.get_attribute("name") or "" for box in boxes))
        if asked in sent:
            return chrome.page_source
        sent.add(asked)
        for box in boxes:
            name = box.get_attribute("name")
            if name in answers and box.is_displayed():
                box.clear()
                box.send_keys(answers[name])
        no = [b for b in buttons if {str(b.get_attribute(a)).lower() for a in ("name", "value")} & set(NO)]
        yes = [b for b in buttons if b not in no]
        button = no[0] if deny and no else yes[0]
        button.click()
        WebDriverWait(chrome, 10, poll_frequency=0.02).until(staleness_of(button))
    raise AssertionError(f"still asked for more after {STEPS} pages, the last one {chrome.current_url}")
