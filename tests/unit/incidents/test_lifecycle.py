"""The lifecycle table, every cell of it."""

import pytest

from voice.errors import LifecycleError
from voice.incidents.identifiers import ALPHABET
from voice.incidents.kinds import Kind
from voice.incidents.lifecycle import REASON_KEYS, TRANSITIONS, Reason, State, transition


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("to", State)
def test_only_what_the_table_has_is_allowed(state: State, to: State) -> None:
    reason = Reason.GENUINE if to is State.RESOLVED else None
    if (state, to) in TRANSITIONS:
        assert transition(state, to, reason) == TRANSITIONS[state, to]
    else:
        with pytest.raises(LifecycleError, match="cannot become"):
            transition(state, to, reason)


def test_an_incident_can_be_resolved_from_every_other_state() -> None:
    assert {state for state, to in TRANSITIONS if to is State.RESOLVED} == set(State) - {State.RESOLVED}


def test_nothing_but_reopening_follows_a_resolution() -> None:
    assert [to for state, to in TRANSITIONS if state is State.RESOLVED] == [State.OPEN]


def test_a_resolution_needs_a_reason() -> None:
    with pytest.raises(LifecycleError, match="genuine, false, test, duress, drill"):
        transition(State.OPEN, State.RESOLVED, None)


def test_every_reason_has_a_key() -> None:
    assert set(REASON_KEYS.values()) == set(Reason)


def test_every_kind_has_a_priority() -> None:
    assert {kind.value: kind.priority for kind in Kind} == {
        "panic": 1,
        "duress": 1,
        "man_down": 1,
        "gas": 1,
        "medical": 1,
        "missed_check_in": 2,
        "unidentified": 2,
        "technical": 4,
        "test": 5,
    }


def test_names_have_no_letters_that_are_misheard_or_misread() -> None:
    assert len(set(ALPHABET)) == 32
    assert not set(ALPHABET) & set("ilou")
