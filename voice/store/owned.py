"""Rows of which each has an owner, and what is left for it: `voice.owned.ledger` in SQL.

Who checks its ownership locks the row, and keeps it until its commit: so nobody takes it up between the check and what
hangs on it. SQLite has one writer at a time, which does the same.
"""

from asyncio import Future
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Column, ColumnElement, Connection, Row, Table, and_, bindparam, literal, or_, select, update

from voice.errors import EarshotError, Fenced, OutOfOrder
from voice.owned.ledger import NOBODY, Claim, Fence
from voice.store import schema
from voice.store.inserting import if_missing
from voice.store.nodes import alive, database_now
from voice.store.store import Store

T = TypeVar("T")


class OwnedRows:
    """Rows with an owner, an epoch and a version, and their inbox.

    Statements are built once: some run with each decision, others twice a second.
    """

    def __init__(
        self,
        rows: Table,
        inbox: Table,
        *,
        key: str,
        of: str,
        what: str,
        unknown: type[EarshotError],
        kept: Sequence[str],
    ) -> None:
        """`key`, `of`: the columns with the name, of a row and in the inbox. `kept`: the columns that each decision
        writes. `what`: what a row is, in messages; `unknown`: raised where there is none."""
        self._rows, self._inbox = rows, inbox
        self._name, self._of = rows.c[key], of
        self._what, self._unknown = what, unknown
        ours = and_(
            self._name == bindparam("fenced_name"),
            rows.c.owner == bindparam("fenced_node"),
            rows.c.epoch == bindparam("fenced_epoch"),
        )
        values: dict[str, Any] = {column: bindparam(f"new_{column}") for column in ("version", *kept)}
        advance = update(rows).where(ours).values(values)
        self._advance_in_order = advance.where(rows.c.version == bindparam("previous"))
        self._advance_over_gap = advance.where(rows.c.version < bindparam("new_version"))
        held = select(rows.c.owner, rows.c.epoch, rows.c.version)
        self._held = held.where(self._name == bindparam("fenced_name")).with_for_update()
        self._add_letter = if_missing(inbox, "id")
        self._letters = _letters(rows, inbox, self._name, inbox.c[of])
        nodes = schema.nodes.c
        self._letters_of = self._letters.where(
            or_(
                rows.c.owner == bindparam("node"),
                rows.c.owner.is_(None),
                rows.c.owner.not_in(select(nodes.id).where(nodes.lease_until > bindparam("alive_at"))),
            )
        )
        self._answer = update(inbox).where(inbox.c.id == bindparam("letter")).values(handled_at=bindparam("answered"))

    # -- one row --

    def advance(
        self, connection: Connection, fence: Fence, previous: int | None, version: int, values: dict[str, Any]
    ) -> bool:
        """Write what a decision made of a row; False when this decision, or one that builds on it, is there already.

        Raises `Fenced`, or `OutOfOrder` when the decision before it is not there (`previous`; None: whichever is).
        """
        row = {
            "fenced_name": fence.name,
            "fenced_node": fence.node,
            "fenced_epoch": fence.epoch,
            "new_version": version,
        }
        row |= {f"new_{column}": value for column, value in values.items()}
        if previous is None:
            advanced = connection.execute(self._advance_over_gap, row)
        else:
            advanced = connection.execute(self._advance_in_order, row | {"previous": previous})
        if advanced.rowcount:
            return True
        if self.hold(connection, fence) < version:
            raise OutOfOrder(f"{self._what} {fence.name}: decision {previous} is not written yet")
        return False

    def hold(self, connection: Connection, fence: Fence) -> int:
        """Keep the row until the transaction ends; returns the number of its last decision. Raises `Fenced`."""
        row = connection.execute(self._held, {"fenced_name": fence.name}).first()
        if row is None:
            raise self._unknown(f"the store knows no {self._what} {fence.name!r}")
        if (row.owner, row.epoch) != (fence.node, fence.epoch):
            raise Fenced(f"{self._what} {fence.name} is {row.owner}'s in epoch {row.epoch}")
        return int(row.version)

    # -- owners --

    def fences(self, connection: Connection, names: Collection[str]) -> dict[str, Fence]:
        """Who may write these; those that are not in the store are left out."""
        columns = (self._name, self._rows.c.owner, self._rows.c.epoch)
        found = connection.execute(select(*columns).where(self._name.in_(names)))
        return {name: Fence(name, owner or NOBODY, epoch) for name, owner, epoch in found}

    def claimable(
        self, connection: Connection, claim: Claim, *, sole: bool, kept: ColumnElement[bool]
    ) -> ColumnElement[bool]:
        """Which rows a claim is for. `kept`: those with which there is something to do."""
        whose: list[ColumnElement[bool]] = []
        if claim.own:
            whose.append(self._rows.c.owner == claim.node)
        if claim.orphans:
            whose.append(literal(True) if sole else self._without_owner(connection, claim.at))
        return and_(kept if claim.only is None else self._name == claim.only, or_(*whose))

    def _without_owner(self, connection: Connection, at: datetime) -> ColumnElement[bool]:
        owner = self._rows.c.owner
        return or_(owner.is_(None), owner.not_in(alive(connection, at)))

    def take(self, connection: Connection, node: str, names: Sequence[str]) -> None:
        """They are this node's from now on, each in its next epoch."""
        taken = update(self._rows).where(self._name.in_(names))
        connection.execute(taken.values(owner=node, epoch=self._rows.c.epoch + 1))

    # -- the inbox --

    def leave(self, connection: Connection, letter: str, name: str, event: str, at: datetime) -> None:
        """Leave an event for the owner of a row, under a name of its own: leaving it again changes nothing."""
        values = {"id": letter, self._of: name, "event": event, "at": at}
        connection.execute(self._add_letter[connection.dialect.name], values)

    def letters(self, connection: Connection, node: str, at: datetime, *, sole: bool) -> Sequence[Row[Any]]:
        """What was left for a node and is not answered yet, oldest first: `id`, `name`, `event`, `phase` of its row."""
        if sole:
            return connection.execute(self._letters).all()
        return connection.execute(self._letters_of, {"node": node, "alive_at": database_now(connection, at)}).all()

    def answered(self, connection: Connection, letters: Collection[str], at: datetime) -> None:
        """Take letters out of the inbox."""
        connection.execute(self._answer, [{"letter": letter, "answered": at} for letter in letters])


def _letters(rows: Table, inbox: Table, name: Column[str], of: Column[str]) -> Any:
    """All that is unanswered. In a store that one process has, it is all its own."""
    return (
        select(inbox.c.id, of.label("name"), inbox.c.event, rows.c.phase)
        .join(rows, name == of)
        .where(inbox.c.handled_at.is_(None))
        .order_by(inbox.c.at, inbox.c.id)
    )


class OwnedLedger:
    """What the ledgers of all such rows have in common. `sole`: no other process can use the store."""

    owned: OwnedRows

    def __init__(self, store: Store, *, sole: bool) -> None:
        self._store = store
        self._sole = sole

    @property
    def sole(self) -> bool:
        return self._sole

    def run(self, transaction: Callable[[Connection], T]) -> "Future[T]":
        return self._store.run(transaction)

    def read(self, function: Callable[[Connection], T]) -> "Future[T]":
        return self._store.read(function)

    def fences(self, connection: Connection, names: Collection[str]) -> dict[str, Fence]:
        """See `Ledger`."""
        return self.owned.fences(connection, names)

    def answered(self, connection: Connection, letters: Collection[str], at: datetime) -> None:
        """See `Ledger`."""
        self.owned.answered(connection, letters, at)
