"""An incident that is resolved from outside: the decision changes the lifecycle, with reason and note."""

from tests.unit.escalation.conversation import Conversation, plan, ring
from voice.escalation.commands import Cancel
from voice.escalation.events import Event, Resolved, WorkerSafe
from voice.escalation.ledger import event_text, read_event
from voice.escalation.state import Change, Phase
from voice.incidents.lifecycle import Reason, State

SHELL = "shell:root"


def test_a_reason_resolves_the_incident_with_the_decision() -> None:
    talk = Conversation(plan(ring("contact:bob"))).opens()
    leg = talk.leg("bob")
    talk.commands()
    decision = talk.tells(Resolved(SHELL, Reason.GENUINE, "at home"))
    assert decision.change == Change(State.RESOLVED, SHELL, {"note": "at home"}, Reason.GENUINE)
    assert decision.commands == (Cancel(leg),)
    assert (talk.state.phase, talk.wait) == (Phase.DONE, None)


def test_without_a_reason_the_session_has_changed_the_lifecycle_already() -> None:
    talk = Conversation(plan(ring("contact:bob"))).opens()
    assert talk.tells(Resolved("operator:olga")).change is None
    assert talk.state.phase is Phase.DONE


def test_an_incident_that_is_over_is_not_resolved_again() -> None:
    talk = Conversation(plan(ring("contact:bob"))).opens()
    talk.tells(Resolved("operator:olga"))
    assert talk.tells(Resolved(SHELL, Reason.FALSE)).change is None


def test_a_letter_is_read_as_it_was_written() -> None:
    events: list[Event] = [Resolved(SHELL, Reason.DRILL, "a note"), Resolved("operator:olga"), WorkerSafe("a word")]
    for event in events:
        read = read_event(event_text(event))
        assert read == event
        assert not isinstance(read, Resolved) or read.reason is None or isinstance(read.reason, Reason)
