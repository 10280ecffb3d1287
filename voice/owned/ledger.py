"""Who may write what one node at a time has, and what a store must be able to do for it.

Each has one owner at a time: a node, with an epoch that grows each time it changes hands. Every write names both, and
the store refuses it (`Fenced`) once another node has taken it up: a node that was only slow, or cut off, can thus never
overwrite what its successor decided.

The functions of a ledger take the connection of the transaction that they are part of, as all of `voice.store` does.
"""

from asyncio import Future
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from sqlalchemy import Connection

T = TypeVar("T")
Claimed = TypeVar("Claimed")
Letter = TypeVar("Letter")
Decided = TypeVar("Decided", contravariant=True)

NOBODY = ""
"""Whose is what a process began which is no node: the command line, say. The next node that looks takes it up, in
epoch 1."""


@dataclass(frozen=True, slots=True)
class Fence:
    """Who writes: true only as long as nobody else has taken it up."""

    name: str
    """Of the incident, or of the session."""
    node: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Claim:
    """What a node wants to take up."""

    node: str
    at: datetime
    epoch: int | None = None
    """Of the node, for who holds its lease: only who is the node now may take anything up."""
    known: Collection[str] = ()
    """What this process has."""
    own: bool = False
    """Also what the store holds for this node's and this process does not have."""
    orphans: bool = True
    """What belongs to a node whose lease is over, or that no node has had yet."""
    only: str | None = None
    """This one only, and also if it is over."""
    limit: int = 200


class Ledger(Protocol[Claimed, Letter, Decided]):
    """What all nodes have, in one store."""

    @property
    def sole(self) -> bool:
        """Whether no other process can use this store: then there are no leases, and no heartbeats."""
        ...

    def run(self, transaction: Callable[[Connection], T]) -> "Future[T]":
        """Run a function as one transaction, outside the journal: it fails when the store is away."""
        ...

    def read(self, function: Callable[[Connection], T]) -> "Future[T]": ...

    def record(self, connection: Connection, decided: Decided) -> None:
        """Write a decision, with all that follows from it. Writing it again changes nothing.

        Raises `Fenced` when another node has it; `OutOfOrder` when the decision before it is not there.
        """
        ...

    # -- nodes --

    def fences(self, connection: Connection, names: Collection[str]) -> dict[str, Fence]:
        """Who may write these; those that are not in the store are left out."""
        ...

    def claim(self, connection: Connection, claim: Claim) -> list[Claimed]:
        """Take up what nobody has, the most urgent first. Raises `Fenced` for an earlier process of this node."""
        ...

    # -- the inbox --

    def letters(self, connection: Connection, node: str, at: datetime) -> list[Letter]:
        """What was left for this node and is not answered yet, oldest first."""
        ...

    def answered(self, connection: Connection, letters: Collection[str], at: datetime) -> None:
        """Take letters out of the inbox."""
        ...
