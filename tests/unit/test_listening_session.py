"""What an operator hears that no key of his has asked for."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

from config.models import Operator
from tests.unit.test_contact_session import Scene
from voice.call import Call
from voice.listening_session import FAILURE_ERRORS, ListeningSession, SessionHooks
from voice.live_incidents import LiveIncident
from voice.media.tones import Sound, clip
from voice.rtp.codecs import ALAW_SILENCE, FRAME_SAMPLES
from voice.sim.loop import virtually


async def _memo(incident: LiveIncident) -> bytes | None:
    return bytes([0x2A]) * FRAME_SAMPLES * 3000


ACCOUNT = bytes([0x2B]) * FRAME_SAMPLES * 50


async def _account(incident: LiveIncident) -> bytes:
    return ACCOUNT


def _spawn(work: Coroutine[Any, Any, Any]) -> None:
    work.close()


async def _no_call_back(incident: LiveIncident, actor: str) -> bool:
    return False


def _session(scene: Scene, spawn: Callable[[Coroutine[Any, Any, Any]], object] = _spawn) -> ListeningSession:
    hooks = SessionHooks(
        ask_help=lambda incident, operator: None,
        call_back=_no_call_back,
        confirm_emergency=lambda incident, actor: False,
        heard=lambda incident, seconds: None,
        spawn=spawn,
        account=_account,
        memo=_memo,
    )
    olga = Operator(id="olga", username="olga", password="secret", name="Olga")
    return ListeningSession(olga, scene.incident, cast(Call, scene.call), "leg", hooks, 1.5)


def _heard(session: ListeningSession) -> bytes:
    """All that is said to him alone."""
    return b"".join(iter(session.member.tones.frame, None))


async def _joined(scene: Scene) -> ListeningSession:
    session = _session(scene, spawn=asyncio.ensure_future)
    session.join()
    await asyncio.sleep(0.1)
    return session


@virtually
async def test_where_nobody_called_he_is_told_what_it_is_and_then_that_there_is_a_memo() -> None:
    session = await _joined(Scene(connected=False))
    assert session.member.ducks
    assert _heard(session) == ACCOUNT + clip(Sound.MEMO).ljust(-(-len(clip(Sound.MEMO)) // 160) * 160, ALAW_SILENCE)
    assert not session.member.ducks


@virtually
async def test_a_key_ends_what_he_is_told() -> None:
    session = await _joined(Scene(connected=False))
    await session.press("7")
    assert ACCOUNT[:FRAME_SAMPLES] not in _heard(session)
    assert not session.member.ducks


@virtually
async def test_where_there_is_a_line_he_listens_to_it_at_once() -> None:
    assert ACCOUNT[:FRAME_SAMPLES] not in _heard(await _joined(Scene()))


@virtually
async def test_what_was_heard_before_the_line_broke_is_heard_instead() -> None:
    scene = Scene()
    assert scene.device.received is not None
    scene.device.received.write(0, ACCOUNT)
    scene.incident.device_calls.clear()
    assert ACCOUNT[:FRAME_SAMPLES] not in _heard(await _joined(scene))


@virtually
async def test_he_hears_at_once_a_row_of_errors_when_an_emergency_call_failed_even_over_the_memo() -> None:
    session = _session(Scene())
    session.join()
    await session.press("6")
    await asyncio.sleep(0)
    for certain in (True, False):
        session.member.on_emergency_failed(certain)
        heard = _heard(session)
        assert heard.count(clip(Sound.ERROR)) == FAILURE_ERRORS
        assert len(heard) < 3 * 8000
