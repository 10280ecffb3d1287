"""The code word with which a contact closes an alarm, and the duress word that does the opposite."""

import hmac
from enum import Enum, auto

from config.plans import Customer, keyed

TRIES = 3


class Verdict(Enum):
    """What becomes of a word that was keyed. A bystander learns nothing from CLOSES and DURESS: both sound alike."""

    CLOSES = auto()
    DURESS = auto()
    WRONG = auto()


class CodeWords:
    """The words of one customer, for one contact in one call."""

    def __init__(self, customer: Customer | None) -> None:
        self._close = keyed(customer.close_word or "") if customer else ""
        self._duress = keyed(customer.duress_word or "") if customer else ""
        self.tries = TRIES
        """How many wrong words are still listened to."""
        self.forced = False
        """The duress word was given. From then on no word closes: whoever forces one can force the other."""

    @property
    def any(self) -> bool:
        """Whether this customer has agreed on words at all."""
        return bool(self._close or self._duress)

    def judge(self, code: str) -> Verdict:
        """What these keys mean, told in the same time whatever they are."""
        closes, forced = _same(code, self._close), _same(code, self._duress)
        if not (closes or forced):
            self.tries -= 1
            return Verdict.WRONG
        self.forced = self.forced or forced
        return Verdict.DURESS if self.forced else Verdict.CLOSES


def _same(code: str, word: str) -> bool:
    return hmac.compare_digest(code.encode(), word.encode()) and bool(word)
