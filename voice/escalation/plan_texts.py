"""Frozen plans beside their texts."""

from config.plans import FrozenPlan
from voice.escalation.ledger import PlanText

KEPT = 1000
"""Plans of which the text is kept."""


class Plans:
    """Frozen plans and their texts: a thousand alarms of a customer share one."""

    def __init__(self) -> None:
        self._texts: dict[int, tuple[FrozenPlan, PlanText]] = {}
        """By identity: the plan itself is kept beside its text, so that its identity is not given to another one."""
        self._frozen: dict[str, FrozenPlan] = {}
        self._stored: set[str] = set()

    def text(self, frozen: FrozenPlan) -> tuple[PlanText, bool]:
        """How a plan is kept, and whether the store has it."""
        entry = self._texts.get(id(frozen))
        if entry is None:
            if len(self._texts) >= KEPT:
                self._texts.clear()
            entry = self._texts[id(frozen)] = (frozen, PlanText.of(frozen))
        return entry[1], entry[1].sha256 in self._stored

    def stored(self, plan: PlanText) -> None:
        self._stored.add(plan.sha256)

    def frozen(self, plan: PlanText) -> FrozenPlan:
        """The plan of a text, read once."""
        if plan.sha256 not in self._frozen:
            if len(self._frozen) >= KEPT:
                self._frozen.clear()
            self._frozen[plan.sha256] = plan.read()
        return self._frozen[plan.sha256]
