"""Which keys somebody presses stands nowhere: the same story is told twice, with other keys, and leaves the same words.

Compared are the SIP trace with bodies and personal data, every line of the log, the whole store, the metrics, and what
stands beside the audio in recordings. A PIN is not searched for, for a single digit can be found anywhere: instead no
byte may depend on it.
"""

import re
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from sqlalchemy import Connection, text

from tests.scenarios.tale import Tale, ring, tale
from voice.sim.loop import virtual_loop
from voice.sip.trace import Trace

PIN_LENGTH = 4
_HASH = re.compile(r"\b[0-9a-f]{64}\b")
_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"


def keys_pressed(directory: Path, way: str, choice: int) -> tuple[dict[str, str], str]:
    """Somebody keys PINs where he is asked for another key, and where he is asked for the code word.

    Returns all that is left of it, by where it stands, and which keys those were. `choice` chooses them.
    """
    left: dict[str, str] = {}
    keys = ""

    @tale([ring("contact:anna")])
    async def told(tale: Tale) -> None:
        nonlocal keys
        trace = Trace(virtual_loop().clock, personal=True, bodies=True)
        tale.world.stage.service.endpoint._trace = trace
        await tale.alarm()
        anna = tale.phone("anna")
        await anna.rings_within("1s").answers().hears("to take this alarm")
        wrong = [key for key in "123456789" if key != await anna.key()][choice]
        pin = wrong * PIN_LENGTH
        keys = wrong + pin
        anna.call.press(wrong, way)
        await anna.hears("not the right key")
        anna.call.press(await anna.key(), way)
        await anna.hears("You now hear the worker")
        for key in f"#{pin}#":
            anna.call.press(key, way)
            await anna.waits(1)
        await tale.noted("code_word_wrong")
        left["trace"] = "".join(each.text for call in trace._known for each in trace.messages(call))
        left["log"] = repr(tale.world.log)
        metrics = generate_latest(tale.world.stage.service.metrics.registry).decode().splitlines()
        left["metrics"] = "\n".join(line for line in metrics if "_created" not in line)  # by the real clock
        left["store"] = await tale.world.stage.store.read(whole_store)

    told(directory)
    left["recordings"] = "\n".join(
        map(beside_the_audio, sorted(path for path in directory.rglob("*") if path.is_file()))
    )
    return {where: words.replace(str(directory), "") for where, words in left.items()}, keys


def whole_store(connection: Connection) -> str:
    tables = [row[0] for row in connection.execute(text(_TABLES))]
    return "\n".join(
        f"{table} {row!r}" for table in tables for row in connection.execute(text(f"SELECT * FROM {table}"))
    )


def beside_the_audio(path: Path) -> str:
    """What a file of the recordings says apart from the sound itself."""
    content = path.read_bytes()
    return f"{path} {content.partition(b'data')[0] if path.suffix == '.wav' else content!r}"


@pytest.mark.parametrize("way", ["rfc4733", "info", "inband"])
def test_nothing_that_is_kept_depends_on_which_keys_were_pressed(tmp_path: Path, way: str) -> None:
    left, keys = keys_pressed(tmp_path / "one", way, 0)
    other, others = keys_pressed(tmp_path / "other", way, 3)
    assert keys != others
    assert left.keys() == other.keys()
    for where in left:
        first, second = left[where], other[where]
        if way == "inband":  # the tones themselves are recorded, and what was recorded has a hash
            first, second = _HASH.sub("", first), _HASH.sub("", second)
        assert first == second, where
    assert ("Signal=***" in left["trace"]) == (way == "info")
    assert "code_word_wrong" in left["store"]
    assert ".wav" in left["recordings"]
