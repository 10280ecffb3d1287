"""The kinds of alarm and how urgent each one is."""

from enum import StrEnum


class Kind(StrEnum):
    """What raised the incident. The value is what configuration, store and timeline carry."""

    PANIC = "panic"
    DURESS = "duress"
    MAN_DOWN = "man_down"
    MISSED_CHECK_IN = "missed_check_in"
    GAS = "gas"
    MEDICAL = "medical"
    UNIDENTIFIED = "unidentified"
    TECHNICAL = "technical"
    TEST = "test"

    @property
    def priority(self) -> int:
        """1 is the most urgent; the queue orders by priority, then by age."""
        return _PRIORITY[self]


_PRIORITY = {
    Kind.PANIC: 1,
    Kind.DURESS: 1,
    Kind.MAN_DOWN: 1,
    Kind.GAS: 1,
    Kind.MEDICAL: 1,
    Kind.MISSED_CHECK_IN: 2,
    Kind.UNIDENTIFIED: 2,
    Kind.TECHNICAL: 4,
    Kind.TEST: 5,
}
