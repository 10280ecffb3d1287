"""What the terminal shows of a demo: a line for each thing that happens, then what was measured.

Readable at 80 columns and in a log; colours only on a terminal.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from textwrap import wrap

from rich.console import Console
from rich.text import Text

SETTLING = timedelta(seconds=0.2)
"""Lines wait so long to be shown, so that what is told late still stands where it belongs."""

_LOG_WIDTH = 120
_STYLES = {"badge-7": "bold red", "Earshot": "green", "Olga's phone": "cyan"}


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """One thing that happened."""

    at: datetime
    who: str
    what: str


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that the demo has measured, and whether it is as it should be."""

    what: str
    holds: bool
    told: str


class View:
    """Shows lines in the order in which things happened."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or _console()
        self._waiting: list[Line] = []
        self._zero: datetime | None = None

    def title(self, text: str) -> None:
        self._console.print(Text(text, style="bold"))

    def say(self, *lines: str) -> None:
        """Text as it is. Never broken into lines by us: commands and paths can be copied."""
        for line in lines:
            self._console.print(Text(line), soft_wrap=True)

    def begin(self, at: datetime) -> None:
        """The alarm: seconds count from here."""
        self._zero = at

    def add(self, at: datetime, who: str, what: str) -> None:
        self._waiting.append(Line(at, who, what))

    def show(self, now: datetime | None = None) -> None:
        """Show what has settled by `now`; without it, everything."""
        due = sorted(line for line in self._waiting if now is None or line.at <= now - SETTLING)
        for line in due:
            self._waiting.remove(line)
            self._print(line)

    def forget(self) -> None:
        """Let go of what has not been shown, and of the moment from which seconds count."""
        self._waiting.clear()
        self._zero = None

    def _print(self, line: Line) -> None:
        after = ""
        if self._zero is not None and line.at >= self._zero:
            after = f"+{(line.at - self._zero).total_seconds():.3f}"
        head = Text(f"{line.at.astimezone():%H:%M:%S}  ", style="dim")
        head.append(f"{after:>7}  ", "not dim")
        head.append(f"{line.who:<13}  ", f"not dim {_STYLES.get(line.who, 'bold cyan')}")
        self._hang(head, line.what)

    def findings(self, found: Iterable[Finding]) -> None:
        """The measured values, each with its verdict."""
        for finding in found:
            head = Text("ok      ", style="green") if finding.holds else Text("FAILED  ", style="bold red")
            head.append(f"{finding.what:<17}  ", "bold default")
            self._hang(head, finding.told)

    def _hang(self, head: Text, told: str) -> None:
        """`told` beside `head`, broken where the line is full, with no blanks at the end of lines."""
        indent = len(head)
        for part in wrap(told, max(self._console.width - indent, 20)) or [""]:
            self._console.print(head + Text(part), soft_wrap=True)
            head = Text(" " * indent)

    def verdict(self, text: str, *, good: bool) -> None:
        self._console.print(Text(text, style="bold green" if good else "bold red"))


def _console() -> Console:
    """A terminal as it is; a log wide enough that each event keeps to its line."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_LOG_WIDTH)
