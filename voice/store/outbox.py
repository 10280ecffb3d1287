"""The outbox of escalations: commands that are decided, and what became of them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, bindparam, select, update

from voice.escalation.commands import CallEmergency, Command
from voice.escalation.ledger import Waiting, command_text, key_of, read_command, survives
from voice.store import schema
from voice.store.inserting import if_missing

_OUTBOX = schema.outbox

_ADD = if_missing(_OUTBOX, "incident_id", "sequence", "n")
_COMMAND = and_(
    _OUTBOX.c.incident_id == bindparam("of_incident"),
    _OUTBOX.c.sequence == bindparam("of_sequence"),
    _OUTBOX.c.n == bindparam("of_n"),
)
_BEGIN = update(_OUTBOX).where(_COMMAND, _OUTBOX.c.state != "done").values(state="started", changed_at=bindparam("at"))
_THERE = select(_OUTBOX.c.state).where(_COMMAND)
_FINISH = update(_OUTBOX).where(_COMMAND)
_FINISH = _FINISH.values(state="done", outcome=bindparam("what"), changed_at=bindparam("at"))
_FINISH_OTHERS = _FINISH.where(_OUTBOX.c.kind != CallEmergency.__name__)
_UNDONE = (
    select(_OUTBOX.c.command, _OUTBOX.c.state)
    .where(_OUTBOX.c.incident_id == bindparam("of_incident"), _OUTBOX.c.state.in_(("pending", "started")))
    .order_by(_OUTBOX.c.sequence, _OUTBOX.c.n)
)


def add(connection: Connection, incident: str, commands: Sequence[Command], at: datetime) -> None:
    """Commands to carry out; those that may be done again at will are not written down. Again, it changes nothing."""
    if keyed := [command for command in commands if key_of(command) is not None]:
        connection.execute(_ADD[connection.dialect.name], [_row(incident, command, at) for command in keyed])


def begin(connection: Connection, incident: str, key: str, at: datetime) -> bool:
    """A command is about to be carried out; of one that is done, nothing is said. False: it is not there."""
    if connection.execute(_BEGIN, _named(incident, key) | {"at": at}).rowcount:
        return True
    return connection.execute(_THERE, _named(incident, key)).first() is not None


def finish(connection: Connection, incident: str, key: str, outcome: str, at: datetime, *, calls: bool = True) -> bool:
    """What became of a command. `calls`: also of an emergency call. False: it is not there."""
    statement = _FINISH if calls else _FINISH_OTHERS
    return bool(connection.execute(statement, _named(incident, key) | {"what": outcome, "at": at}).rowcount)


def undone(connection: Connection, incident: str) -> list[Waiting]:
    """What no process has carried out for good, in the order in which it was decided."""
    found = connection.execute(_UNDONE, {"of_incident": incident})
    return [Waiting(read_command(row.command), row.state == "started") for row in found]


def _row(incident: str, command: Command, at: datetime) -> dict[str, Any]:
    sequence, n = _place(key_of(command) or "")
    return {
        "incident_id": incident,
        "sequence": sequence,
        "n": n,
        "kind": type(command).__name__,
        "command": command_text(command),
        "state": "pending" if survives(command) else "done",
        "created_at": at,
        "changed_at": at,
        "outcome": None if survives(command) else "ends with its process",
    }


def _place(key: str) -> tuple[int, int]:
    sequence, _, n = key.partition(".")
    return int(sequence), int(n)


def _named(incident: str, key: str) -> dict[str, Any]:
    sequence, n = _place(key)
    return {"of_incident": incident, "of_sequence": sequence, "of_n": n}
