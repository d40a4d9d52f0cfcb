"""Whoever sits at Chromium: opens the address, signs in, and consents. Started by a test (attended.py).

    python visitor.py [--deny] [--report FILE] URL

What the last page was goes into the report, as JSON.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chromium import browser, browser_person, told

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

_MEASURE = """
    const shown = document.querySelector('main').getBoundingClientRect();
    return {
        title: document.title,
        text: document.body.innerText,
        html: document.documentElement.outerHTML,
        loaded: performance.getEntriesByType('resource').map((entry) => entry.name),
        scripts: document.scripts.length,
        colour: getComputedStyle(document.querySelector('.mark')).color,
        middle: Math.abs(shown.left + shown.right - innerWidth) < 4,
        referrer: document.referrer,
    }"""
# What the policy of the page forbids is not done, and says so to whoever asks.
_REFUSED = """
    const done = arguments[0];
    document.addEventListener('securitypolicyviolation', (event) => done(event.effectiveDirective));
    const image = document.createElement('img');
    image.src = location.origin + '/favicon.ico';
    document.body.append(image);
    setTimeout(() => done(''), 10000);"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--deny", action="store_true")
    parser.add_argument("--report", type=Path)
    parser.add_argument("url")
    given = parser.parse_args()
    report = in_chromium(given.url, given.deny)
    # For the test that finds that the login did not end here.
    print(f"the last page was {report['url']}:\n{report['html'][:2000]}")
    if given.report:
        given.report.write_text(json.dumps(report), "utf-8")


def in_chromium(url: str, deny: bool) -> dict[str, Any]:
    with browser() as chrome:
        try:
            browser_person(url, deny=deny, chrome=chrome)
            return looked_at(chrome)
        except BaseException:
            told(chrome)
            raise


def looked_at(chrome: Chrome) -> dict[str, Any]:
    """What the last page of a login is and does."""
    found: dict[str, Any] = chrome.execute_script(_MEASURE)
    return {**found, "url": chrome.current_url, "refused": chrome.execute_async_script(_REFUSED)}


if __name__ == "__main__":
    main()
