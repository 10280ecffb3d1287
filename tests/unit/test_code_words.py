"""The code word closes, the duress word does not, and a bystander cannot tell them apart."""

from config.plans import Customer
from voice.code_words import TRIES, CodeWords, Verdict


def words(close: str | None = "tulp", duress: str | None = "roos") -> CodeWords:
    return CodeWords(Customer(id="acme", name="Acme", close_word=close, duress_word=duress))


def test_words_are_keyed_as_on_a_telephone() -> None:
    assert words().judge("8857") is Verdict.CLOSES
    assert words().judge("7667") is Verdict.DURESS
    assert words().judge("8858") is Verdict.WRONG


def test_a_customer_without_words_cannot_be_closed_by_any() -> None:
    assert not CodeWords(None).any
    none = words(None, None)
    assert not none.any
    assert none.judge("") is Verdict.WRONG
    assert words(None).any
    assert words(None).judge("8857") is Verdict.WRONG


def test_after_the_duress_word_no_word_closes() -> None:
    forced = words()
    forced.judge("7667")
    assert forced.judge("8857") is Verdict.DURESS


def test_only_wrong_words_use_up_the_tries() -> None:
    tried = words()
    tried.judge("8857")
    tried.judge("7667")
    assert tried.tries == TRIES
    tried.judge("1")
    assert tried.tries == TRIES - 1
