"""Everything that is logged while an endpoint is played."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@contextlib.contextmanager
def listening() -> Iterator[list[str]]:
    """Everything that is logged meanwhile, and shown to nobody else."""
    handler = _Lines()
    loggers = [logging.getLogger("connector"), logging.getLogger("httpx")]
    before = [(each.level, each.propagate, each.handlers) for each in loggers]
    for each in loggers:
        each.handlers = [handler]
        each.setLevel(logging.DEBUG)
        each.propagate = False
    try:
        yield handler.lines
    finally:
        for each, (level, propagate, handlers) in zip(loggers, before, strict=True):
            each.handlers = handlers
            each.setLevel(level)
            each.propagate = propagate
