"""Ten thousand random scripts: whatever dies, fails or comes twice, a human has the alarm, or a deadline is pending.

The promises stand in `voice.sim.escalation_promises`. Play one that broke with
`python -m voice.sim.escalation_scripts --seeds SEED`.
"""

from collections.abc import Iterator

import pytest
import structlog

from voice.sim.escalation_scripts import play

SCRIPTS = 10_000
CHUNK = 250


@pytest.fixture(autouse=True)
def _quietly() -> Iterator[None]:
    """Ten thousand scripts full of faults have much to tell; what counts are the promises."""
    with structlog.testing.capture_logs():
        yield


@pytest.mark.parametrize("first", range(0, SCRIPTS, CHUNK))
def test_no_random_script_of_an_escalation_breaks_a_promise(first: int) -> None:
    broken = {seed: played.broken for seed in range(first, first + CHUNK) if (played := play(seed)).broken}
    assert not broken, f"seeds {sorted(broken)}: {broken}"


def test_scripts_are_as_bad_as_they_are_meant_to_be() -> None:
    """Processes do die in them, and control rooms are called; or the test above would prove little."""
    played = [play(seed) for seed in range(100)]
    assert sum(script.kills for script in played) > 100
    assert sum(script.placed for script in played) > 50
    assert sum(script.decisions for script in played) > 1000


def test_the_same_seed_is_the_same_script() -> None:
    assert [play(seed) for seed in (11, 147, 953)] == [play(seed) for seed in (11, 147, 953)]
