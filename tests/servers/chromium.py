"""A person in a real browser: Debian's Chromium without a window. Knows forms, not servers."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from people import NO, STEPS, answers_of
from ports import port_ahead

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

# For a machine that does much else. Nothing waits for it but what is broken.
PATIENCE_S = 60.0
_PAUSE_S = 0.02
# What the page is, looked at in one go: between two looks it may be another one. `pressed` is a mark of ours that
# goes with the document it was left on.
_LOOK = """return {
    url: location.href,
    whole: document.readyState === 'complete',
    pressed: Boolean(window.pressed),
    forms: document.forms.length,
    buttons: document.querySelectorAll('button, input[type=submit]').length,
    text: document.documentElement.innerText,
}"""
_FLAGS = (
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
)


@contextmanager
def browser() -> Iterator[Chrome]:
    """Chromium with a profile of its own; it asks nobody on the network for anything."""
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
    # Chromium may still write there while it ends.
    with TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        for flag in (*_FLAGS, f"--user-data-dir={Path(profile) / 'profile'}"):
            options.add_argument(flag)
        chrome = Chrome(options=options, service=Service(driver, port=port_ahead()))
        chrome.set_page_load_timeout(PATIENCE_S)
        try:
            yield chrome
        finally:
            chrome.quit()


def browser_person(url: str, login: str = "ada", *, deny: bool = False, chrome: Chrome | None = None) -> str:
    """As `people.plain_person`, by typing and clicking; the source of the page it ended at."""
    if chrome is None:
        with browser() as chrome:
            return browser_person(url, login, deny=deny, chrome=chrome)
    from selenium.common.exceptions import WebDriverException

    chrome.get(url)
    person = _Person(chrome, urlsplit(url).netloc, answers_of(login, None), deny)
    until, trouble = time.monotonic() + PATIENCE_S, ""
    while time.monotonic() < until:
        try:
            if person.goes_on():
                return chrome.page_source
        except WebDriverException as error:
            # The page went while it was looked at or touched, and drivers have many words for that. Whatever it
            # was, it is looked at again; should it stay, this is what was wrong.
            trouble = f"; the driver said: {error.msg}"
        time.sleep(_PAUSE_S)
    raise AssertionError(f"stuck for {PATIENCE_S:g} s at {person.seen}{trouble}")


class _Person:
    """Answers a page after the other."""

    def __init__(self, chrome: Chrome, origin: str, answers: dict[str, str], deny: bool) -> None:
        self.seen: dict[str, Any] = {}
        self._chrome = chrome
        self._origin = origin
        self._answers = answers
        self._deny = deny
        self._sent: list[tuple[str, ...]] = []

    def goes_on(self) -> bool:
        """Look at the page, and do what it asks for; True when it asks for nothing, or for the same again."""
        page = self.seen = self._chrome.execute_script(_LOOK)
        if page["url"].startswith("chrome-error:"):
            raise AssertionError(f"Chromium could not open {self._chrome.current_url}:\n{page['text']}")
        if page["pressed"] or not page["whole"]:
            return False
        if urlsplit(page["url"]).netloc != self._origin or not page["forms"]:
            return True
        # Without a button it is a form that sends itself.
        return bool(page["buttons"]) and self._answered(page["url"])

    def _answered(self, url: str) -> bool:
        from selenium.webdriver.common.by import By

        boxes = {
            box: box.get_attribute("name") or "" for box in self._chrome.find_elements(By.TAG_NAME, "input")
        }
        asked = (url, *sorted(boxes.values()))
        if asked in self._sent:
            return True  # It did not take the answer, and there is no other.
        for box, name in boxes.items():
            if name in self._answers and box.is_displayed():
                box.clear()
                box.send_keys(self._answers[name])
        buttons = self._chrome.find_elements(By.CSS_SELECTOR, "button, input[type=submit]")
        no = [b for b in buttons if {str(b.get_attribute(a)).lower() for a in ("name", "value")} & set(NO)]
        button = no[0] if self._deny and no else next(b for b in buttons if b not in no)
        # Noted before the click: whatever the driver says of it, the page that was left is not answered again.
        self._sent.append(asked)
        assert len(self._sent) < STEPS, f"still asked for more after {STEPS} pages, the last one {url}"
        self._chrome.execute_script("window.pressed = true")
        button.click()
        return False


def told(chrome: Chrome) -> None:
    """Say on standard error where the browser is, for whoever reads why its person failed."""
    from selenium.common.exceptions import WebDriverException

    try:
        shown = chrome.execute_script(_LOOK)
    except WebDriverException as error:
        shown = {"url": "nowhere", "text": error.msg}
    print(f"the browser was at {shown['url']}, which says:\n{str(shown['text'])[:2000]}", file=sys.stderr)
