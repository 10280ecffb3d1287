"""What an alarm must never reach: the telephones of the very worker who is in danger.

A nurse on duty is a member of the team that is rung, and may be the one who is threatened. Her own telephone would ring
beside the aggressor and say what it is about. So whatever reaches her is left out of calls and messages of her alarm.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from config.plans import Contact
from voice.numbers import lead_to_one

if TYPE_CHECKING:
    from config.models import Device, Worker

WHY = "is the worker himself"


@dataclass(frozen=True, slots=True)
class Reach:
    """Where somebody may be reached in an alarm."""

    numbers: tuple[int, ...]
    """Which of his numbers may be called, from 0."""
    sms: str | None
    email: str | None

    @property
    def nothing(self) -> bool:
        return not (self.numbers or self.sms or self.email)


def own_lines(worker: Worker | None, device: Device | None, devices: Iterable[Device] = ()) -> tuple[str, ...]:
    """Everything that leads to a worker, as it is written: his numbers, the numbers and accounts of what he wears.

    `device`: the one that raised the alarm; `devices`: all that there are.
    """
    worn = [device] if device is not None else []
    worn += [other for other in devices if worker is not None and other.worker == worker.id]
    lines = [*(worker.numbers if worker is not None else ())]
    for one in worn:
        lines += [*one.numbers, *(line for line in (one.username, one.callback) if line)]
    return tuple(dict.fromkeys(lines))


def reach(contact: Contact, own: tuple[str, ...]) -> Reach:
    """Where a contact may be reached in an alarm of the worker whom these lines lead to.

    Each number counts for itself. When all that could be called are the worker's, the contact is the worker, and what
    is written to him would be read beside him, too. No number tells whose an e-mail address is: it is the worker's
    where any number of the contact is.
    """
    if not (own and any(is_own(line, own) for line in lines(contact))):
        return Reach(tuple(range(len(contact.numbers))), contact.text_number, contact.email)
    telephones = [number for number in contact.numbers if number.lstrip("+").isdigit()]
    texted = [line for line in (contact.sms, *telephones) if line]
    numbers = tuple(n for n, number in enumerate(contact.numbers) if not is_own(number, own))
    if contact.numbers and not numbers:
        return Reach((), None, None)
    sms = next((line for line in texted if not is_own(line, own)), None)
    return Reach(numbers, sms, None)


@lru_cache(16384)
def is_own(line: str, own: tuple[str, ...]) -> bool:
    """Whether a number or address leads to where one of these does."""
    return any(lead_to_one(line, other) for other in own)


def lines(contact: Contact) -> Iterator[str]:
    """Everything by which a contact is reached."""
    yield from contact.numbers
    yield from (line for line in (contact.sms, contact.email) if line)
