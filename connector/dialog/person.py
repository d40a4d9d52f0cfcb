"""The dialogs themselves: browser, paste, device. Each returns the token, or raises one clear error."""

from __future__ import annotations

import contextlib
import io
import queue
import sys
import threading
import time
import webbrowser
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import segno
from rich.console import Console
from rich.text import Text

from connector.console import printable, say, words
from connector.dialog.loopback import Loopback, can_listen
from connector.errors import ConnectorError, NotAuthorizedError
from connector.host import Host
from connector.login import Authorization
from connector.token import Token

_ANYWHERE = "http://127.0.0.1:8765/callback"
_LONGEST_LINE = 16_384
_PASTES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a person wants to log in.

    Attributes:
        port: of the page on loopback; 0: any that is free.
        timeout_s: how long to wait for the person.
        parameters: further authorization parameters for this once.
        open: opens a URL in a browser; False: there is none.
    """

    port: int = 0
    timeout_s: float = 300.0
    parameters: Mapping[str, str] = field(default_factory=dict)
    open: Callable[[str], bool] = webbrowser.open


def in_browser(host: Host, account: str, manner: Manner) -> Token:
    """Open the browser and wait for it to come back; where it cannot come back, ask for the address."""
    target = host.accounts[account].redirect_target()
    if not target and manner.port:
        target = f"http://127.0.0.1:{manner.port}/callback"
    if not can_listen(target):
        say(f"The browser is sent to {target}, which is not this machine.")
        return by_paste(host, account, manner)
    with Loopback(target) as loopback:
        login = host.authorization(account, redirect_uri=loopback.redirect_uri, parameters=manner.parameters)
        say(f"Opening a browser to log in to account {account}. If none opens, go to:")
        _show_url(login.url)
        _opened(manner.open, login.url)
        say("Waiting for the login (Ctrl-C gives up; --no-browser and --device are other ways) ...")
        try:
            redirected = loopback.wait(login.answered_by, timeout_s=manner.timeout_s)
            if redirected is None:
                raise _nobody_came(account, manner.timeout_s)
            token = login.finish(redirected)
        except ConnectorError as error:
            loopback.end(f"Not logged in: {error.message}", "The terminal says more.", good=False)
            raise
        loopback.end(f"You are logged in to {account}", "You can close this page.", good=True)
        return token


def _opened(open_url: Callable[[str], bool], url: str) -> None:
    def run() -> None:
        opened = False
        with contextlib.suppress(Exception):
            opened = open_url(url)
        if not opened:
            say(
                "No browser could be opened here: open the address yourself, or use --no-browser or --device."
            )

    # In a thread: a browser in the terminal ends only when its person closes it.
    threading.Thread(target=run, name="connector-browser", daemon=True).start()


def _nobody_came(account: str, timeout_s: float) -> NotAuthorizedError:
    return NotAuthorizedError(
        f"nobody logged in to account {account!r} in time",
        account=account,
        code="login_timeout",
        reason=f"the browser did not come back within {timeout_s:g} s",
        resolution="begin again; --timeout waits longer, --no-browser lets you paste the address",
    )


def by_paste(host: Host, account: str, manner: Manner) -> Token:
    """Print the URL and take the address that the browser ends up at."""
    target = host.accounts[account].redirect_target()
    if not target:
        target = f"http://127.0.0.1:{manner.port}/callback" if manner.port else _ANYWHERE
    login = host.authorization(account, redirect_uri=target, parameters=manner.parameters)
    say(f"Open this address in any browser and log in to account {account}:")
    _show_url(login.url)
    say(f"Afterwards the browser goes to {target}?..., a page that may not open.")
    say("Copy its whole address and paste it here:")
    return login.finish(_line(account, login, manner.timeout_s))


def _line(account: str, login: Authorization, timeout_s: float) -> str:
    """The pasted address; on a terminal a wrong one may be pasted again."""
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    # In a thread: reading from a terminal has no time limit of its own.
    threading.Thread(target=_read, args=(lines,), name="connector-paste", daemon=True).start()
    ends, given = time.monotonic() + timeout_s, ""
    for _ in range(_PASTES):
        line = _next(lines, ends)
        if line is None:
            raise _nobody_came(account, timeout_s)
        if not line:
            break
        given = line.strip() or given
        if line.strip() and login.answered_by(line.strip()):
            return line
        if sys.stdin is not None and sys.stdin.isatty():
            say("That is not the address this login ends at. Paste the whole of it:")
    if given:
        return given  # what is wrong with it is told by whoever reads it
    raise NotAuthorizedError(
        f"the login of account {account!r} was given up",
        account=account,
        code="login_cancelled",
        reason="no address was pasted",
        resolution=f"begin again: `connector login {account} --no-browser`",
    )


def _read(lines: queue.SimpleQueue[str]) -> None:
    for _ in range(_PASTES):
        line = ""
        with contextlib.suppress(ValueError, OSError, AttributeError):  # closed, or not there at all
            line = sys.stdin.readline(_LONGEST_LINE)
        lines.put(line)
        if not line:
            return


def _next(lines: queue.SimpleQueue[str], ends: float) -> str | None:
    """The next line, empty at the end of input; None: time is up."""
    while (left := ends - time.monotonic()) > 0:
        with contextlib.suppress(queue.Empty):
            # In small pieces, so that Ctrl-C is heard everywhere.
            return lines.get(timeout=min(left, 0.5))
    return None


def on_device(
    host: Host, account: str, manner: Manner | None = None, *, clock: Callable[[], float] = time.time
) -> Token:
    """Show a code and an address, and wait until the person entered it on any device."""
    login = host.device(account)
    timeout_s = (manner or Manner()).timeout_s
    ends = min(login.expires_at, clock() + timeout_s)
    console = words()
    say(f"On any device, log in to account {account} at:")
    _show_url(login.verification_uri)
    say("and enter the code:")
    console.print(Text(f"\n    {printable(login.user_code)}\n", style="bold"))
    if console.is_terminal:
        _qr(console, login.verification_uri_complete or login.verification_uri)
    else:
        say(f"Waiting for {_span(ends - clock())} at most ...")
    with console.status("") if console.is_terminal else contextlib.nullcontext() as status:

        def pause(seconds: float) -> None:
            until = min(clock() + seconds, ends)
            while (left := until - clock()) > 0:
                if status is not None:
                    status.update(f"Waiting for you, {_span(ends - clock())} left (Ctrl-C gives up)")
                time.sleep(min(left, 1.0))
            if clock() >= ends < login.expires_at:
                raise _not_entered(account, timeout_s)

        return login.wait(sleep=pause)


def _not_entered(account: str, timeout_s: float) -> NotAuthorizedError:
    return NotAuthorizedError(
        f"nobody entered the code for account {account!r} in time",
        account=account,
        code="login_timeout",
        reason=f"it was waited for {timeout_s:g} s",
        resolution="begin again; --timeout waits longer",
    )


def _span(seconds: float) -> str:
    minutes, rest = divmod(max(0, int(seconds)), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def _show_url(url: str) -> None:
    # Never wrapped, so that it can be clicked and copied.
    words().print(Text(f"\n  {printable(url)}\n"), overflow="ignore", no_wrap=True, crop=False)


def _qr(console: Console, url: str) -> None:
    code = segno.make(url, error="l")
    width = code.symbol_size(border=2)[0]
    if width <= console.width and width <= 90:
        drawn = io.StringIO()
        code.terminal(out=drawn, border=2, compact=True)
        console.file.write(drawn.getvalue())
