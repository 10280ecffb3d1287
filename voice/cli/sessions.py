"""Sessions of check-ins on the command line: `earshot sessions` and `session`.

A screen may be read by the very person who forces a worker to say that all is well. So a confirmation under duress
looks like any other one here; operators have its incident. Only `--evidence` tells them apart.
"""

import json
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from config.settings import Settings
from ivr.session import How, Origin, Phase, Session
from voice.cli.defined import everything
from voice.cli.showing import table_console
from voice.escalation.phrases import counted, duration
from voice.incidents.timeline import timestamp
from voice.store import sessions as rows
from voice.store.reading import reading
from voice.store.sessions import LogEntry

SettingsOf = Callable[[Namespace], Settings]

SHORT = 8
"""Characters of a session's name that tables show."""

_HOW = {
    How.KEY: "telephone",
    How.PIN: "telephone",
    How.DURESS: "telephone",
    How.DEVICE: "device",
    How.API: "app",
}
_ORIGIN = {Origin.WORKER: "the worker", Origin.ROSTER: "a roster", Origin.API: "the office", Origin.DEVICE: "a device"}

_STYLE = {Phase.WAITING: "green", Phase.CALLING: "yellow", Phase.AGAIN: "yellow", Phase.ENDED: "dim"}
_MISSED = "bold red"


def sessions(options: Namespace, settings_of: SettingsOf) -> int:
    settings = everything(options, settings_of)
    with reading(settings.store.url) as connection, connection.begin():
        found = rows.latest_sessions(connection, options.limit) if options.all else rows.open_sessions(connection)
    if options.json:
        print(json.dumps([plain(session) for session in found], indent=2))
    elif found:
        table_console().print(_table_of(found, settings))
    else:
        print("No sessions." if options.all else "No session is open.")
    return 0


def session(options: Namespace, settings_of: SettingsOf) -> int:
    settings = everything(options, settings_of)
    with reading(settings.store.url) as connection, connection.begin():
        found = rows.named(connection, options.session)
        log = rows.session_log(connection, found.id) if options.log else []
    if options.json:
        told = plain(found, evidence=options.evidence)
        if options.log:
            told["log"] = [_entry(entry, evidence=options.evidence) for entry in log]
        print(json.dumps(told, indent=2))
        return 0
    console = Console(highlight=False)
    for line in story(found, settings, evidence=options.evidence):
        console.print(line, soft_wrap=True)
    if options.log:
        console.print(_log_of(log, evidence=options.evidence))
    return 0


# -- for programs --


def plain(session: Session, *, evidence: bool = False) -> dict[str, Any]:
    """A session as JSON values."""
    return {
        "id": session.id,
        "worker": session.worker,
        "origin": session.origin.value,
        "phase": session.phase.value,
        "started_at": timestamp(session.started_at),
        "ends_at": timestamp(session.ends_at),
        "due_at": timestamp(session.due_at) if session.open else None,
        "confirmed_at": timestamp(session.confirmed_at) if session.confirmed_at else None,
        "confirmed_by": how(session.confirmed_by, evidence=evidence),
        "missed": len(session.missed),
        "interval_s": session.rules.interval,
        "asks_for": session.rules.confirm,
    }


def _entry(entry: LogEntry, *, evidence: bool) -> dict[str, Any]:
    detail = dict(entry.detail)
    if "how" in detail:
        detail["how"] = how(How(detail["how"]), evidence=evidence)
    return {"sequence": entry.sequence, "at": timestamp(entry.at), "kind": entry.kind, "detail": detail}


def how(confirmed: How | None, *, evidence: bool) -> str | None:
    """By what a worker confirmed, in one word that betrays nothing; as evidence: as it is written."""
    if confirmed is None:
        return None
    return confirmed.value if evidence else _HOW[confirmed]


# -- for people --


def name_of(worker: str, settings: Settings) -> str:
    known = settings.worker(worker)
    return known.name if known else worker


def clock(moment: datetime) -> str:
    """On the clock of this machine."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"


def _table_of(found: Sequence[Session], settings: Settings) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("session", "worker", "stands", "due", "last heard", "by", "until"):
        wraps = heading in ("worker", "stands")
        table.add_column(heading, no_wrap=not wraps, overflow="fold", min_width=10 if wraps else None)
    for session in found:
        table.add_row(
            session.id[:SHORT],
            Text(name_of(session.worker, settings)),
            _standing(session),
            _short(session.due_at) if session.open else "",
            _short(session.confirmed_at) if session.confirmed_at else "not yet",
            how(session.confirmed_by, evidence=False) or "",
            _short(session.ends_at),
        )
    return table


def _short(moment: datetime) -> str:
    """On the clock of this machine, in a table that has to fit a terminal of 80 columns."""
    return f"{moment.astimezone():%m-%d %H:%M}"


def _standing(session: Session) -> Text:
    text = Text(_phase(session), _STYLE[session.phase])
    if session.missed:
        text = Text.assemble((f"missed {counted(len(session.missed), 'check-in')}", _MISSED), "; ", text)
    return text


def _phase(session: Session) -> str:
    match session.phase:
        case Phase.WAITING:
            return "waits for the next check-in"
        case Phase.CALLING:
            return "is being called"
        case Phase.AGAIN:
            return "is called again soon"
        case Phase.ENDED:
            return "has ended"


def story(session: Session, settings: Settings, *, evidence: bool) -> Iterator[Text]:
    """One session in a few lines."""
    yield Text.assemble((f"{session.id}  {name_of(session.worker, settings)}  ", "bold"), _standing(session))
    began = f"began {clock(session.started_at)} by {_ORIGIN[session.origin]}"
    yield Text(f"{began}, {'ends' if session.open else 'was to end'} {clock(session.ends_at)}")
    asked = "his PIN" if session.rules.confirm == "pin" else "a key"
    if session.open:
        each = f"a check-in each {duration(session.rules.interval)}, by {asked}"
        last = ": the last one, which asks whether he is still working" if session.final else ""
        yield Text(f"{each}; the next is due {clock(session.due_at)}{last}")
    if session.confirmed_at is None:
        yield Text("he has not been heard since it began")
    else:
        yield Text(f"last confirmed {clock(session.confirmed_at)} by {how(session.confirmed_by, evidence=evidence)}")


def _log_of(log: Sequence[LogEntry], *, evidence: bool) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("", "time", "check-in", "what"):
        table.add_column(heading, no_wrap=heading != "what", overflow="fold")
    for entry in log:
        told = Text(said(entry, evidence=evidence), _MISSED if entry.kind == "missed" else "")
        table.add_row(str(entry.sequence), clock(entry.at), str(entry.detail.get("round", "")), told)
    return table


def said(entry: LogEntry, *, evidence: bool) -> str:
    """An entry of the log in plain words."""
    detail = dict(entry.detail)
    words = WORDS.get(entry.kind)
    if words is None:  # of a newer Earshot
        return f"{entry.kind} {json.dumps(detail)}"
    return words(_Detail(detail, evidence))


class _Detail:
    """The detail of an entry, as sentences need it."""

    def __init__(self, detail: Mapping[str, Any], evidence: bool) -> None:
        self._detail = detail
        self._evidence = evidence

    def __getitem__(self, name: str) -> Any:
        return self._detail.get(name)

    def clock(self, name: str) -> str:
        return clock(datetime.fromisoformat(self._detail[name]))

    def how(self) -> str:
        return how(How(self._detail["how"]), evidence=self._evidence) or ""

    def kept(self) -> str:
        is_duress = self._evidence and self._detail["how"] == How.DURESS
        return "; he keyed his duress PIN as the new one: nothing is changed" if is_duress else ""


def _began(d: _Detail) -> str:
    by = _ORIGIN.get(Origin(d["origin"]), "") if d["origin"] else ""
    return f"begins, by {by}; the first check-in is due {d.clock('due_at')}, it ends {d.clock('ends_at')}"


def _failed(d: _Detail) -> str:
    status = f" ({d['status']})" if d["status"] else ""
    counts = "his telephone was reached" if d["reached"] else "it does not count: his telephone was not reached"
    return f"call {d['attempt']} fails{status}{': ' + d['why'] if d['why'] else ''}; {counts}"


def _confirmed(d: _Detail) -> str:
    where = f", in call {d['attempt']}" if d["attempt"] else ""
    return f"confirms by {d.how()}{where}{'; the alarm of the missed check-in stays open' if d['late'] else ''}"


def _pin_changed(d: _Detail) -> str:
    return f"the worker is told that his PIN is changed{d.kept()}"


WORDS: Mapping[str, Callable[[_Detail], str]] = {
    "began": _began,
    "called": lambda d: f"call {d['attempt']}: the worker is called, time {d['number']} of this check-in",
    "answered": lambda d: f"call {d['attempt']} is answered, by whom is not known yet",
    "not_confirmed": lambda d: f"call {d['attempt']} is not confirmed{': ' + d['why'] if d['why'] else ''}",
    "call_failed": _failed,
    "call_lost": lambda d: f"call {d['attempt']} is lost with the process that made it",
    "confirmed": _confirmed,
    "missed": lambda d: f"MISSED, {d['why']}: due {d.clock('due_at')}; the alarm is raised",
    "warned": lambda d: "the worker is told that the check-in is near",
    "reminded": lambda d: "the worker is told that the session ends soon",
    "extended": lambda d: f"is extended, and ends {d.clock('ends_at')}",
    "renewed": lambda d: f"the worker begins it anew; it ends {d.clock('ends_at')}",
    "pin_changed": _pin_changed,
    "memo": lambda d: "the worker leaves a spoken memo",
    "forgotten": lambda d: f"the last question is not answered ({d['why']}): no alarm, as the rules say",
    "ended": lambda d: f"ends: {d['by']}",
    "log_gap": lambda d: f"an entry is missing here: {d['why']}",
}
