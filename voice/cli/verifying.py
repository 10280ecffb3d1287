"""Is an incident as it was written? Its chain, what is said of it beside the chain, and its recordings.

The row of an incident (the head of an export) is derived: what it says is said by the entries, too, and those are
chained. So they are played again, and whatever the row says otherwise was changed by somebody else than Earshot.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from hashlib import file_digest
from pathlib import Path
from typing import Any

from voice.cli.showing import Story
from voice.errors import ConfigurationError
from voice.incidents.timeline import Entry
from voice.incidents.timeline import verify as verify_chain

_OPENING = {
    "kind": "kind",
    "priority": "priority",
    "device": "device_id",
    "worker": "worker_id",
    "caller": "caller",
    "dialled": "dialled",
    "identified_by": "identified_by",
}
"""What the entry `opened` calls a field of the incident."""

_SHORT = 60
"""Characters of a value that are shown."""

_KEYS = {field.name for field in fields(Entry)}


@dataclass(frozen=True, slots=True)
class Recording:
    """A finished file as it was noted."""

    name: str
    path: Path
    sha256: str
    node: str | None
    """Which node has it; None in a database that only one process uses."""


@dataclass(frozen=True, slots=True)
class Written:
    """An incident as the store or an export has it."""

    name: str
    head: Mapping[str, Any]
    entries: Sequence[Entry]
    """Up to the first that is none."""
    count: int
    recordings: Sequence[Recording]

    def faults(self) -> Iterator[str]:
        """What is not as it was written. The first is all there is to say of a broken chain."""
        broken = self._broken()
        if broken is not None:
            yield f"the chain breaks at entry {broken} of {self.count}"
        elif self.head.get("last_hash") != self.entries[-1].hash:
            yield f"the chain breaks after entry {self.count}: entries are missing at the end, the last hash is another"
        else:
            for field, said in _derived(self.entries).items():
                stands = self.head.get(field)
                if (stands or None) != (said or None):
                    yield f"{field} is {_short(stands)}, and the timeline says {_short(said)}"
            yield from self._recordings_otherwise()

    def _recordings_otherwise(self) -> Iterator[str]:
        """Recordings that are listed otherwise than the timeline has them."""
        said = {entry.detail.get("recording"): entry.detail.get("sha256") for entry in self.entries if _records(entry)}
        for recording in self.recordings:
            if said.pop(recording.name, None) != recording.sha256:
                yield f"recording {_short(recording.name)}: its SHA-256 is not the one that the timeline has"
        for name in said:
            yield f"recording {_short(name)} is on the timeline, and not among the recordings"

    def _broken(self) -> int | None:
        if not self.entries or self.entries[0].kind != "opened":
            return 1
        broken = verify_chain(self.entries)
        return len(self.entries) + 1 if broken is None and len(self.entries) < self.count else broken


def stored(story: Story) -> Written:
    head = story.plain()
    return Written(story.incident.id, head, story.timeline, len(story.timeline), _recordings(head))


def exported(path: str) -> Written:
    """What `incident ID --json` printed; `ConfigurationError` if that is something else."""
    try:
        head = json.loads(Path(path).read_text(encoding="utf-8"), object_pairs_hook=_once)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error
    except RecursionError as error:
        raise ConfigurationError(f"{path}: is no exported incident: nested too deeply") from error
    except ValueError as error:
        raise ConfigurationError(f"{path}: is no exported incident: no JSON that can be read: {error}") from error
    if not isinstance(head, dict) or not isinstance(head.get("id"), str):
        raise ConfigurationError(f"{path}: is no exported incident: it has no id")
    listed = head.get("timeline")
    if not isinstance(listed, list):
        raise ConfigurationError(f"{path}: is no exported incident: it has no timeline")
    try:
        recordings = _recordings(head)
    except (TypeError, KeyError, AttributeError) as error:
        raise ConfigurationError(f"{path}: is no exported incident: its recordings cannot be read") from error
    return Written(_short(head["id"]), head, list(_entries(listed)), len(listed), recordings)


def recordings_checked(written: Written, directory: Path, *, offline: bool = False) -> tuple[list[str], list[str]]:
    """What is wrong with the recordings, and what else there is to say of them.

    One that is not there is a fault, unless another node may have it, or an export is read where none are.
    """
    faults: list[str] = []
    told: list[str] = []
    right = 0
    for recording in written.recordings:
        place = _place(recording.path, directory, offline=offline)
        if place is None:
            absent = told if offline or recording.node else faults
            absent.append(f"recording {recording.path} is not here, and was not checked")
        elif digest(place) != recording.sha256:
            faults.append(f"recording {place} is not as it was recorded: its SHA-256 is another")
        else:
            right += 1
    if offline and told:
        told = [f"{len(told)} of {len(written.recordings)} recordings are not beside the export, and were not checked"]
    return faults, [f"{right} recordings are as they were recorded", *told] if right else told


def _place(path: Path, directory: Path, *, offline: bool) -> Path | None:
    """Where it was written or, if the folder was moved, its place in `directory`; there alone for an export."""
    parts = path.parts[1:] if path.is_absolute() else path.parts
    moved = (directory.joinpath(*parts[start:]) for start in range(len(parts)))
    try:
        return next((place for place in (*([] if offline else [path]), *moved) if place.is_file()), None)
    except OSError:  # a name that no file can have
        return None


def digest(path: Path) -> str | None:
    """None for a file that cannot be read."""
    try:
        with path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _derived(entries: Sequence[Entry]) -> dict[str, Any]:
    """The fields of the incident as its entries tell them."""
    said: dict[str, Any] = {}
    for entry in entries:
        detail = entry.detail
        if entry.sequence == 1:
            said = {field: detail[key] for key, field in _OPENING.items() if key in detail}
            said |= {"id": entry.incident, "opened_at": entry.at, "changed_at": entry.at, "state": "open"}
            said |= dict.fromkeys(("taken_by", "acknowledged_at", "resolved_at", "reason", "note"))
        elif "from" in detail and "to" in detail:
            said |= _changed(entry, said)
    return said


def _records(entry: Entry) -> bool:
    return entry.kind == "recorded" and isinstance(entry.detail.get("recording"), str)


def _changed(entry: Entry, before: Mapping[str, Any]) -> dict[str, Any]:
    """What a change of state changes, as `voice.store.incidents.transition` writes it."""
    changed = {"state": entry.detail["to"], "changed_at": entry.at}
    match entry.kind:
        case "acknowledged" | "handed_over":
            return changed | {"taken_by": entry.actor, "acknowledged_at": before["acknowledged_at"] or entry.at}
        case "given_back":
            return changed | {"taken_by": None}
        case "resolved":
            resolved = {"resolved_at": entry.at, "reason": entry.detail.get("reason")}
            return changed | resolved | {"note": entry.detail.get("note")}
        case "reopened":
            return changed | dict.fromkeys(("taken_by", "acknowledged_at", "resolved_at", "reason", "note"))
        case "in_progress":
            return changed
    return {}


def _entries(listed: Sequence[object]) -> Iterator[Entry]:
    for item in listed:
        if not isinstance(item, dict) or item.keys() != _KEYS or not isinstance(item["detail"], dict):
            return
        yield Entry(**item)


def _recordings(head: Mapping[str, Any]) -> list[Recording]:
    """Those that are finished and have a file."""
    return [
        Recording(str(row["id"]), Path(row["path"]), str(row["sha256"]), row["node"])
        for row in head["recordings"]
        if row["sha256"]
    ]


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Each key once: of two, programs take the one or the other."""
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a key stands twice")
    return made


def _short(value: object) -> str:
    text = "empty" if value is None else str(value)
    text = text if len(text) <= _SHORT else text[:_SHORT] + "…"
    return text if text.isprintable() else repr(text)
