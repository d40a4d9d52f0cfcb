"""What the browser shows at the end of a login: one page, nothing loaded from anywhere."""

from __future__ import annotations

from html import escape

HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    # The address of this page holds the code until it is spent.
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}

_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 18px/1.5 system-ui, sans-serif; margin: 0; min-height: 100vh; }}
body {{ display: grid; place-items: center; }}
main {{ max-width: 32em; padding: 2em; text-align: center; }}
.mark {{ font-size: 3em; line-height: 1; color: {colour}; }}
h1 {{ font-size: 1.3em; margin: .6em 0 .3em; }}
p {{ margin: 0; opacity: .75; }}
</style></head>
<body><main><div class="mark" aria-hidden="true">{mark}</div><h1>{title}</h1><p>{words}</p></main></body>
</html>
"""


def page(title: str, words: str, *, good: bool) -> bytes:
    """A page with a headline and a sentence; both may come from a server and are escaped."""
    mark, colour = ("✓", "#2a7") if good else ("✕", "#c33")
    return _PAGE.format(title=escape(title), words=escape(words), mark=mark, colour=colour).encode()
