"""Messages into a file: each key once, whatever happened to the process."""

import json
from pathlib import Path
from typing import Any

import pytest

from voice.messages import Message, MessageFailed
from voice.messages.files import FileChannel
from voice.sim.loop import virtual_loop, virtually

MESSAGE = Message("abc.3.1", "anna", "+31612345678", "ALARM", "Wie: Bø\nWaar: hier", "nl", "https://a.example/x")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deeper" / "messages.jsonl"


def test_a_message_is_a_line_of_json(path: Path) -> None:
    @virtually
    async def story() -> None:
        receipt = await FileChannel(path, virtual_loop().clock).send(MESSAGE)
        assert not receipt.repeated

    story()
    (line,) = lines(path)
    assert line == {
        "key": "abc.3.1",
        "at": "2026-01-01T06:00:00.000000Z",
        "contact": "anna",
        "to": "+31612345678",
        "subject": "ALARM",
        "text": "Wie: Bø\nWaar: hier",
        "language": "nl",
        "link": "https://a.example/x",
    }


def test_only_its_owner_may_read_the_file(path: Path) -> None:
    @virtually
    async def story() -> None:
        await FileChannel(path, virtual_loop().clock).send(MESSAGE)

    story()
    assert path.stat().st_mode & 0o077 == 0


def test_a_key_is_written_once_even_after_a_restart(path: Path) -> None:
    @virtually
    async def story() -> None:
        for _ in range(2):
            channel = FileChannel(path, virtual_loop().clock)
            receipts = [await channel.send(MESSAGE) for _ in range(2)]
            assert receipts[1].repeated

    story()
    assert len(lines(path)) == 1


def test_a_line_that_a_dying_process_tore_spoils_nothing_behind_it(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b'{"key": "abc.1.0", "at"')

    @virtually
    async def story() -> None:
        await FileChannel(path, virtual_loop().clock).send(MESSAGE)

    story()
    assert json.loads(path.read_text("utf-8").splitlines()[1])["key"] == "abc.3.1"


def test_a_file_that_cannot_be_written_is_tried_again(tmp_path: Path) -> None:
    @virtually
    async def story() -> None:
        with pytest.raises(MessageFailed) as caught:
            await FileChannel(tmp_path, virtual_loop().clock).send(MESSAGE)
        assert caught.value.retry_can_help

    story()
