"""The town of a mass incident: its workers with their devices, operators, customers with their teams, a trunk.

What each person does with his telephone follows from his number, so that every run meets the same people.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from voice.address import Address

KINDS = ("panic", "missed_check_in", "man_down", "missed_check_in", "panic", "test", "gas", "missed_check_in")
"""Of device after device: half of priority 1, three of eight of priority 2, one of eight of priority 5."""
CLOSE_WORD = "4711"
OPERATOR_PASSWORD = "bench-operator"
OPERATORS_ALONE = 20.0
"""Seconds that a plan gives the operators before it rings contacts."""

HABITS = ("takes",) * 12 + ("never",) * 2 + ("declines",) * 2 + ("voicemail",) * 2 + ("wrong key", "star")
"""Of contact after contact: twelve of twenty take the alarm, if they are free."""
ENDINGS = ("closes",) * 8 + ("passes on", "hangs up")
"""What those do who took one."""

_ADDITIONS = """\
[alarms]
ring = "{ring}"
ring_seconds = 20.0
[speech]
directory = "{folder}/speech"
[messages]
file = "{folder}/messages.jsonl"
"""
_DEVICE = """\
[[workers]]
id = "worker-{number}"
name = "Worker {number}"
customer = "customer-{customer}"
[[devices]]
id = "badge-{number}"
username = "{name}{number:06d}"
worker = "worker-{number}"
kind = "{kind}"
discreet = "recvonly"
"""
_OPERATOR = """\
[[operators]]
id = "operator-{number}"
name = "Operator {number}"
username = "operator-{number}"
password = "{password}"
"""
_CUSTOMER = """\
[[customers]]
id = "customer-{number}"
name = "Customer {number}"
language = "en"
close_word = "{word}"
caller_id = "+31200000000"
"""
_ITS_PLAN = """\
plan = "plan-{number}"
plans = {{ test = "plan-{number}" }}
[[teams]]
id = "team-{number}"
name = "Team {number}"
members = [{members}]
[[plans]]
id = "plan-{number}"
[[plans.steps]]
ring = "operators"
seconds = {alone}
[[plans.steps]]
ring = "team:team-{number}"
order = "sequence"
seconds = 15.0
[[plans.steps]]
message = "team:team-{number}"
[[plans.steps]]
ring = "team:team-{number}"
seconds = 20.0
[[plans.steps]]
wait = 10.0
"""
_CONTACT = """\
[[contacts]]
id = "contact-{number}"
name = "Contact {number}"
numbers = ["{telephone}"]
"""
_TRUNK = """\
[[trunks]]
id = "provider"
uri = "sip:{host}:{port}"
"""


@dataclass(frozen=True, slots=True)
class Town:
    """How many there are of each."""

    alarms: int
    operators: int
    contacts: int
    customers: int
    trunk: Address
    """Where its provider is."""
    name: str = "mass"
    """The names of the devices begin with it."""

    @property
    def telephones(self) -> dict[str, int]:
        """The contact whose number it is."""
        return {telephone(number): number for number in range(self.contacts)}

    def configuration(self, folder: str, ring: str, *, plans: bool) -> str:
        """Behind the configuration of `benchmarks.service`. Without `plans` everything waits for operators."""
        return "".join(self._tables(folder, ring, plans))

    def _tables(self, folder: str, ring: str, plans: bool) -> Iterator[str]:
        yield _ADDITIONS.format(ring=ring, folder=folder)
        for number in range(self.alarms):
            kind, customer = KINDS[number % len(KINDS)], number % self.customers
            yield _DEVICE.format(number=number, customer=customer, kind=kind, name=self.name)
        for number in range(self.operators):
            yield _OPERATOR.format(number=number, password=OPERATOR_PASSWORD)
        for number in range(self.contacts):
            yield _CONTACT.format(number=number, telephone=telephone(number))
        for number in range(self.customers):
            yield _CUSTOMER.format(number=number, word=CLOSE_WORD)
            if plans:
                members = ", ".join(f'"contact-{one}"' for one in range(number, self.contacts, self.customers))
                yield _ITS_PLAN.format(number=number, members=members, alone=OPERATORS_ALONE)
        yield _TRUNK.format(host=self.trunk[0], port=self.trunk[1])

    def habit(self, contact: int) -> str:
        """So that every team has people of all habits."""
        return HABITS[(contact // self.customers + contact % self.customers * 7) % len(HABITS)]


def telephone(contact: int) -> str:
    """Nobody has these numbers."""
    return f"+3160000{contact:04d}"
