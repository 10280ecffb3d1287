"""What the service says about itself. Personal data stands only in fields whose names begin with `pd_`.

`[log] personal_data = false` (the default) leaves those fields out of every line. Nothing else may carry a name, a
number, a position or what somebody said.
"""

import logging
import sys
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

MARK = "pd_"


class WithoutPersonalData:
    """Removes every field that is marked as personal data."""

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        for name in [name for name in event if name.startswith(MARK)]:
            del event[name]
        return event


def set_up_logging(*, level: str, json: bool, personal_data: bool, stream: TextIO | None = None) -> None:
    """Configure structlog for the process: one line per event on `stream` (standard error)."""
    out = stream or sys.stderr
    processors: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if not personal_data:
        processors.append(WithoutPersonalData())
    processors.append(structlog.processors.format_exc_info)
    renderer: Any = structlog.dev.ConsoleRenderer(colors=out.isatty())
    processors.append(structlog.processors.JSONRenderer() if json else renderer)
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )
