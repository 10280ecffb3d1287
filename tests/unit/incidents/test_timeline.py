"""The chain of a timeline: whoever changes anything breaks it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice.incidents.timeline import GENESIS, Entry, chain, timestamp, verify

AT = datetime(2026, 3, 1, 9, 15, 27, 123456, UTC)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
details = st.dictionaries(st.text(), json_values, max_size=4)
happenings = st.lists(st.tuples(st.text(max_size=20), details, st.text(max_size=20)), min_size=1, max_size=6)


def chained(happened: list[tuple[str, dict[str, Any], str]]) -> list[Entry]:
    entries: list[Entry] = []
    for sequence, (kind, detail, actor) in enumerate(happened, 1):
        entries.append(
            chain(
                incident="1k3x9a0q",
                sequence=sequence,
                previous_hash=entries[-1].hash if entries else GENESIS,
                at=AT + timedelta(milliseconds=sequence),
                kind=kind,
                detail=detail,
                actor=actor,
            )
        )
    return entries


@given(happenings)
def test_a_chain_that_nobody_touched_is_whole(happened: list[tuple[str, dict[str, Any], str]]) -> None:
    assert verify(chained(happened)) is None


@given(happenings, st.data())
def test_an_entry_that_is_altered_breaks_the_chain_there(
    happened: list[tuple[str, dict[str, Any], str]], data: st.DataObject
) -> None:
    entries = chained(happened)
    place = data.draw(st.integers(0, len(entries) - 1))
    entry = entries[place]
    altered = data.draw(
        st.sampled_from(
            [
                replace(entry, kind=entry.kind + "x"),
                replace(entry, actor=entry.actor + "x"),
                replace(entry, at=timestamp(AT - timedelta(days=1))),
                replace(entry, detail=dict(entry.detail) | {"added": 1, "and": [2]}),
                replace(entry, incident="another0"),
                replace(entry, sequence=entry.sequence + 1),
                replace(entry, previous_hash="f" * 64),
                replace(entry, hash="0" * 64),
            ]
        )
    )
    entries[place] = altered
    broken = verify(entries)
    assert broken is not None
    assert broken <= place + 2, "at the entry, or at the one after it when the first sets another name"


@given(happenings, st.data())
def test_an_entry_that_is_removed_or_moved_breaks_the_chain(
    happened: list[tuple[str, dict[str, Any], str]], data: st.DataObject
) -> None:
    entries = chained([*happened, ("last", {}, "system")])
    place = data.draw(st.integers(0, len(entries) - 2))
    removed = entries[:place] + entries[place + 1 :]
    assert verify(removed) == place + 1
    moved = [*entries[:place], entries[place + 1], entries[place], *entries[place + 2 :]]
    assert verify(moved) == place + 1


def test_an_entry_of_another_incident_breaks_the_chain() -> None:
    (first,) = chained([("opened", {}, "device:badge")])
    stranger = chain(
        incident="another0",
        sequence=2,
        previous_hash=first.hash,
        at=AT,
        kind="answered",
        detail={},
        actor="system",
    )
    assert verify([first, stranger]) == 2


def test_an_altered_entry_whose_hash_is_recomputed_breaks_the_chain_at_the_next_one() -> None:
    entries = chained([("opened", {}, "a"), ("answered", {}, "a"), ("resolved", {}, "a")])
    entries[1] = chain(
        incident="1k3x9a0q",
        sequence=2,
        previous_hash=entries[0].hash,
        at=AT,
        kind="never answered",
        detail={},
        actor="a",
    )
    assert verify(entries) == 3


def test_no_entries_make_a_whole_chain() -> None:
    assert verify([]) is None


def test_the_hash_is_what_anybody_can_compute_from_the_documented_form() -> None:
    (entry,) = chained([("opened", {"b": 1, "a": "é"}, "device:badge")])
    text = (
        '{"actor":"device:badge","at":"2026-03-01T09:15:27.124456Z","detail":{"a":"\\u00e9","b":1},'
        f'"incident":"1k3x9a0q","kind":"opened","previous_hash":"{GENESIS}","sequence":1}}'
    )
    from hashlib import sha256

    assert entry.hash == sha256(text.encode()).hexdigest()


def test_a_time_of_another_zone_is_written_in_utc() -> None:
    assert timestamp(AT.astimezone(timezone(timedelta(hours=2)))) == "2026-03-01T09:15:27.123456Z"
    assert timestamp(AT.replace(microsecond=0)) == "2026-03-01T09:15:27.000000Z"


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        timestamp(AT.replace(tzinfo=None))


def test_what_is_no_json_is_refused_when_it_is_written() -> None:
    for detail in ({"x": float("nan")}, {"x": object()}):
        with pytest.raises((ValueError, TypeError)):
            chained([("opened", detail, "a")])


def test_bytes_that_were_no_utf8_do_not_break_the_chain() -> None:
    assert verify(chained([("opened", {"caller": "\udcff"}, "unknown caller")])) is None
