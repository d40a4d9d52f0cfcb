"""A browser for ``BROWSER="python visitor.py %s"``: somebody opens the address, signs in, and consents.

    python visitor.py [--deny] [--chromium] [--report FILE] URL

With ``--chromium`` it is a real one. What the last page was goes into the report, as JSON.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from people import browser, browser_person, plain_person


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--deny", action="store_true")
    parser.add_argument("--chromium", action="store_true")
    parser.add_argument("--report", type=Path)
    parser.add_argument("url")
    given = parser.parse_args()
    report = (in_chromium if given.chromium else plainly)(given.url, given.deny)
    if given.report:
        # Written beside and moved, so that whoever waits for it never reads a half.
        part = given.report.with_suffix(".part")
        part.write_text(json.dumps(report), "utf-8")
        part.replace(given.report)


def plainly(url: str, deny: bool) -> dict[str, Any]:
    page = plain_person(url, deny=deny)
    return {"url": str(page.url), "status": page.status_code, "html": page.text}


def in_chromium(url: str, deny: bool) -> dict[str, Any]:
    with browser() as chrome:
        browser_person(url, deny=deny, chrome=chrome)
        measure = """
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
        found: dict[str, Any] = chrome.execute_script(measure)
        # What the policy of the page forbids is not done, and says so to whoever asks.
        refused = """
            const done = arguments[0];
            document.addEventListener('securitypolicyviolation', (event) => done(event.effectiveDirective));
            const image = document.createElement('img');
            image.src = location.origin + '/favicon.ico';
            document.body.append(image);
            setTimeout(() => done(''), 3000);"""
        return {**found, "url": chrome.current_url, "refused": chrome.execute_async_script(refused)}


if __name__ == "__main__":
    main()
