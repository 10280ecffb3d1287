"""One stream of digits out of three ways by which they come: RFC 4733, SIP INFO and tones in the audio.

Many gateways send a key press twice: as an event and as what is left of its tone, or as an event and an
INFO. Each way by itself tells presses apart rightly, so the rule is: what one way reports is a new press,
unless another way reported a press of the same digit within `window` seconds to which this way has not been
matched yet.

    RFC 4733   1 ...... 1 ...... 2
    tones         1 ...... 1 ...... 2        emitted: 1, 1, 2

Each way is matched in order, so two quick presses of a key stay two, however late the second way comes.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from voice.rtp.events import DIGITS

INFO_TYPES = ("application/dtmf-relay", "application/dtmf")
"""What a `Recv-Info`-less INFO with a digit carries: Cisco's form, and the bare digit."""

_SIGNAL = re.compile(r"^\s*signal\s*[=:]\s*(\S+)\s*$", re.IGNORECASE | re.MULTILINE)
_NUMBERED = {str(code): digit for code, digit in enumerate(DIGITS)}
"""Some devices write the event code: 10 is `*`, 11 is `#`."""


class Way(StrEnum):
    """How a press was reported."""

    RFC4733 = "rfc4733"
    INFO = "info"
    INBAND = "inband"


@dataclass(frozen=True, slots=True)
class Digit:
    """One press of a key."""

    symbol: str
    """One of 0 to 9, *, #, A to D."""
    way: Way
    """The way that reported it first."""
    at: float


@dataclass(slots=True)
class _Press:
    digit: Digit
    ways: set[Way]


class DigitStream:
    """Merges the ways of one leg. `now` is the same clock for all of them and never goes back."""

    def __init__(self, *, window: float = 1.0) -> None:
        self._window = window
        self._recent: list[_Press] = []

    def rfc4733(self, symbol: str, now: float) -> Digit | None:
        """A press reported by telephone-event packets: the digit if it is new."""
        return self._report(symbol, Way.RFC4733, now)

    def info(self, symbol: str, now: float) -> Digit | None:
        """A press reported by a SIP INFO; see `info_digit`."""
        return self._report(symbol, Way.INFO, now)

    def inband(self, symbol: str, now: float) -> Digit | None:
        """A press heard as a tone."""
        return self._report(symbol, Way.INBAND, now)

    def _report(self, symbol: str, way: Way, now: float) -> Digit | None:
        self._recent = [press for press in self._recent if now - press.digit.at <= self._window]
        at = self._matching(symbol, way)
        if at is not None:
            # Every way keeps the order of presses: what came before this press, this way has missed.
            for press in self._recent[: at + 1]:
                press.ways.add(way)
            return None
        digit = Digit(symbol, way, now)
        self._recent.append(_Press(digit, {way}))
        return digit

    def _matching(self, symbol: str, way: Way) -> int | None:
        for at, press in enumerate(self._recent):
            if press.digit.symbol == symbol and way not in press.ways:
                return at
        return None


def info_digit(content_type: str, body: bytes) -> str | None:
    """The digit in the body of an INFO; None when it carries none that a telephone has.

    `application/dtmf-relay` has lines `Signal=5` and `Duration=160`; `application/dtmf` has the digit alone.
    Devices mix the two up, so either form is read from either type.
    """
    if content_type.partition(";")[0].strip().lower() not in INFO_TYPES:
        return None
    text = body.decode("ascii", "replace")
    line = _SIGNAL.search(text)
    signal = (line.group(1) if line else text.strip()).upper()
    if len(signal) == 1 and signal in DIGITS:
        return signal
    return _NUMBERED.get(signal)
