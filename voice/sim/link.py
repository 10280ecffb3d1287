"""Links and what they do to packets: delay, jitter, loss in bursts, duplication, reordering."""

import random
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Link:
    """How one host hangs on the network, both ways. Times in seconds; shares are probabilities per packet."""

    delay: float = 0.005
    jitter: float = 0.0
    """Up to so much is added to the delay of a packet; order is kept, as a queue in a router does."""
    loss: float = 0.0
    burst: float = 1.0
    """Mean number of packets lost in a row (Gilbert's model); `loss` stays the share of all."""
    duplicate: float = 0.0
    reorder: float = 0.0
    """Share of packets that are overtaken: they come `late` seconds after their turn."""
    late: float = 0.03

    def __add__(self, other: "Link") -> "Link":
        """Both links, one behind the other."""
        return Link(
            delay=self.delay + other.delay,
            jitter=self.jitter + other.jitter,
            loss=_either(self.loss, other.loss),
            burst=max(self.burst, other.burst),
            duplicate=_either(self.duplicate, other.duplicate),
            reorder=_either(self.reorder, other.reorder),
            late=max(self.late, other.late),
        )


def _either(one: float, other: float) -> float:
    return one + other - one * other


@dataclass(slots=True)
class Path:
    """The way from one host to another: draws the fate of each packet."""

    link: Link
    random: random.Random
    losing: bool = False
    last: float = 0.0
    plain: bool = field(init=False)

    def __post_init__(self) -> None:
        link = self.link
        self.plain = not (link.jitter or link.loss or link.duplicate or link.reorder)

    def arrivals(self, now: float) -> tuple[float, ...]:
        link = self.link
        if self.plain:
            return (now + link.delay,)
        draw = self.random.random
        if link.loss and self._loses(draw()):
            return ()
        arrival = max(self.last, now + link.delay + link.jitter * draw())
        if link.reorder and draw() < link.reorder:
            return (arrival + link.late,)
        self.last = arrival
        if link.duplicate and draw() < link.duplicate:
            return (arrival, arrival + link.jitter * draw())
        return (arrival,)

    def _loses(self, dice: float) -> bool:
        """Gilbert: once losing, go on with 1 - 1/burst; start so often that the share of all comes out."""
        loss, burst = self.link.loss, self.link.burst
        start = min(1.0, loss / (burst * (1 - loss))) if loss < 1 else 1.0
        self.losing = dice < (1 - 1 / burst if self.losing else start) or loss >= 1
        return self.losing
