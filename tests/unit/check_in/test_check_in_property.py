"""Whatever crashes, fails or is set: each check-in is called, then confirmed or missed, once; a missed one is told."""

import pytest

from tests.unit.check_in.scripts import play

BATCHES, EACH = 20, 30


@pytest.mark.parametrize("batch", range(BATCHES))
def test_each_check_in_that_is_due_is_called_or_missed_once_and_a_missed_one_raises_the_alarm(batch: int) -> None:
    played = [play(seed) for seed in range(batch * EACH, (batch + 1) * EACH)]
    assert [(one.seed, one.broken) for one in played if one.broken] == []
    assert sum(one.calls for one in played) > 5 * EACH
    assert sum(one.missed for one in played) > EACH
    assert sum(one.kills for one in played) > EACH
