"""Conversations as a state machine: every branch, without a phone."""

import pytest

from ivr.menu import Choice, Dialogue, Digits, End, Ending, Keys, Listen, Play, Question
from tests.unit.ivr.conversing import Talk

MENU = Dialogue(
    name="menu",
    purpose="has one of everything",
    start="top",
    steps={
        "top": Question(
            announces=("hello",),
            asks=("choose",),
            keys={
                "1": Choice("code", says=("one",)),
                "{secret}": Choice("done", says=("thanks",)),
                "3": Choice("top", language="nl"),
                "4": Choice("top", language="{other}"),
            },
            again=("choose",),
            waits=4.0,
            repeats=2,
            mistakes=3,
            wrong=("wrong",),
            silence="nothing",
            given_up="confused",
            machine="machine",
        ),
        "code": Question(
            asks=("code",), digits=Digits("keyed", maximum=4, between=2.0), waits=6.0, repeats=0, silence="nothing"
        ),
        "keyed": Ending("keyed", hang_up=False),
        "done": Ending("done", says=("bye",)),
        "nothing": Ending("nothing"),
        "confused": Ending("confused"),
        "machine": Ending("machine"),
    },
    limit=100.0,
    at_limit="nothing",
)


def _talk() -> Talk:
    return Talk(MENU, secret="7", other="fr")


def test_what_is_announced_is_followed_by_the_question_and_a_time_to_answer() -> None:
    _talk().plays("hello").hears_it_out().plays("choose").hears_it_out().listens(4.0)


def test_a_key_is_confirmed_by_voice_before_anything_else_happens() -> None:
    _talk().hears_it_out().hears_it_out().presses("1").plays("one").hears_it_out().plays("code")


def test_a_key_interrupts_the_question() -> None:
    talk = _talk().hears_it_out().plays("choose")
    assert isinstance(talk.action, Play)
    assert talk.action.keys is Keys.INTERRUPT
    talk.presses("1").plays("one")


@pytest.mark.parametrize("digits", ["7", "1", "9", "777"])
def test_keys_pressed_before_the_announcement_was_heard_count_for_nothing(digits: str) -> None:
    talk = _talk()
    assert isinstance(talk.action, Play)
    assert talk.action.keys is Keys.DROPPED
    talk.presses(digits).plays("hello").hears_it_out().plays("choose").hears_it_out().listens(4.0)
    talk.presses("7").plays("thanks").hears_it_out().plays("bye").hears_it_out().ends("done")
    assert talk.conversation.result is not None
    assert talk.conversation.result.wrong_keys == 0


def test_silence_is_answered_by_repeats_then_by_the_way_for_silence() -> None:
    talk = _talk().hears_it_out().hears_it_out()
    for _ in range(2):
        talk.waits().plays("choose").hears_it_out().listens(4.0)
    talk.waits().plays().hears_it_out().ends("nothing")


def test_a_timer_that_comes_too_early_waits_for_the_rest() -> None:
    talk = _talk()
    assert talk.conversation.timer(talk.now + 1.0) is None
    talk.hears_it_out().hears_it_out()
    assert talk.conversation.timer(talk.now + 1.0) == Listen(3.0)
    talk.waits().plays("choose")


def test_a_wrong_key_is_said_to_be_wrong_and_the_question_is_repeated() -> None:
    talk = _talk().hears_it_out().hears_it_out().presses("9").plays("wrong").hears_it_out().plays("choose")
    talk.hears_it_out().presses("8").plays("wrong").hears_it_out().plays("choose").presses("6").hears_it_out().ends(
        "confused"
    )
    assert talk.conversation.result is not None
    assert talk.conversation.result.wrong_keys == 3


def test_a_key_chosen_per_call_is_one_of_the_values() -> None:
    _talk().hears_it_out().hears_it_out().presses("7").plays("thanks")
    Talk(MENU, secret="5", other="fr").hears_it_out().hears_it_out().presses("7").plays("wrong")


@pytest.mark.parametrize(("key", "language"), [("3", "nl"), ("4", "fr")])
def test_a_key_can_change_the_language(key: str, language: str) -> None:
    talk = _talk().hears_it_out().hears_it_out().presses(key)
    assert isinstance(talk.action, Play)
    assert talk.action.language == language
    talk.leaves()
    assert talk.conversation.result is not None
    assert talk.conversation.result.language == language


def _collecting() -> Talk:
    return _talk().hears_it_out().hears_it_out().presses("1").hears_it_out().plays("code").hears_it_out()


def _digits(talk: Talk) -> str:
    talk.hears_it_out().ends("keyed")
    assert talk.conversation.result is not None
    return talk.conversation.result.digits


def test_digits_are_complete_at_their_maximum() -> None:
    assert _digits(_collecting().presses("1234")) == "1234"


def test_digits_are_complete_at_the_terminator() -> None:
    assert _digits(_collecting().presses("12#")) == "12"


def test_digits_are_complete_when_no_more_come() -> None:
    assert _digits(_collecting().presses("12").listens(2.0).waits()) == "12"


def test_the_first_digit_interrupts_the_prompt() -> None:
    talk = _talk().hears_it_out().hears_it_out().presses("1").hears_it_out().plays("code").presses("5").listens(2.0)
    assert _digits(talk.presses("678")) == "5678"


def test_a_star_starts_the_digits_over() -> None:
    assert _digits(_collecting().presses("99*1234")) == "1234"


def test_a_terminator_without_digits_is_a_wrong_key() -> None:
    _collecting().presses("#").plays("menu.wrong_key").hears_it_out().plays("code")


def test_after_a_wrong_key_none_counts_until_it_was_said_to_be_wrong() -> None:
    talk = _talk().hears_it_out().hears_it_out().presses("9").plays("wrong").presses("7").plays("wrong")
    talk.hears_it_out().plays("choose").presses("7").plays("thanks")


def test_what_was_keyed_stands_in_no_log() -> None:
    talk = _collecting().presses("1234").hears_it_out()
    assert "1234" not in repr(talk.conversation.result)


def test_hanging_up_ends_it() -> None:
    _talk().leaves().ends("hung_up")
    _talk().hears_it_out().hears_it_out().leaves().ends("hung_up")


def test_hanging_up_after_the_deciding_key_changes_nothing_of_the_decision() -> None:
    talk = _talk().hears_it_out().hears_it_out().presses("7").plays("thanks").leaves().ends("done")
    assert talk.conversation.result is not None
    assert talk.conversation.result.hung_up
    _talk().hears_it_out().hears_it_out().presses("1").plays("one").leaves().ends("hung_up")


def test_a_suspected_machine_shortens_the_repeats_and_nothing_else() -> None:
    talk = _talk().hears_it_out().hears_it_out()
    talk.conversation.suspicion = 1
    talk.waits().plays("choose").hears_it_out().waits().hears_it_out().ends("machine")
    talk = _talk().hears_it_out().hears_it_out()
    talk.conversation.suspicion = 2
    talk.waits().hears_it_out().ends("machine")


def test_a_key_counts_whatever_is_suspected() -> None:
    talk = _talk().hears_it_out().hears_it_out()
    talk.conversation.suspicion = 2
    talk.presses("7").plays("thanks").hears_it_out().hears_it_out().ends("done")


def test_no_question_is_asked_after_the_limit() -> None:
    talk = _talk().hears_it_out().hears_it_out()
    talk.now += 100.0
    talk.presses("3").hears_it_out().ends("nothing")
    talk = _talk().hears_it_out().hears_it_out()
    talk.now += 100.0
    talk.presses("9").hears_it_out().ends("confused")


def test_an_ending_says_whether_the_call_goes_on() -> None:
    talk = _collecting().presses("1234").hears_it_out()
    assert talk.action == End(hang_up=False)
