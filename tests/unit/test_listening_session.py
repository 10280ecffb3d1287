"""What an operator hears that no key of his has asked for."""

import asyncio
from collections.abc import Coroutine
from typing import Any, cast

from config.models import Operator
from tests.unit.test_contact_session import Scene
from voice.call import Call
from voice.listening_session import FAILURE_ERRORS, ListeningSession, SessionHooks
from voice.live_incidents import LiveIncident
from voice.media.tones import Sound, clip
from voice.rtp.codecs import FRAME_SAMPLES
from voice.sim.loop import virtually


async def _memo(incident: LiveIncident) -> bytes | None:
    return bytes([0x2A]) * FRAME_SAMPLES * 3000


def _spawn(work: Coroutine[Any, Any, Any]) -> None:
    work.close()


async def _no_call_back(incident: LiveIncident, actor: str) -> bool:
    return False


def _session(scene: Scene) -> ListeningSession:
    hooks = SessionHooks(
        ask_help=lambda incident, operator: None,
        call_back=_no_call_back,
        confirm_emergency=lambda incident, actor: False,
        heard=lambda incident, seconds: None,
        spawn=_spawn,
        memo=_memo,
    )
    olga = Operator(id="olga", username="olga", password="secret", name="Olga")
    return ListeningSession(olga, scene.incident, cast(Call, scene.call), "leg", hooks, 1.5)


@virtually
async def test_he_hears_at_once_a_row_of_errors_when_an_emergency_call_failed_even_over_the_memo() -> None:
    session = _session(Scene())
    session.join()
    await session.press("6")
    await asyncio.sleep(0)
    for certain in (True, False):
        session.member.on_emergency_failed(certain)
        heard = b"".join(iter(session.member.tones.frame, None))
        assert heard.count(clip(Sound.ERROR)) == FAILURE_ERRORS
        assert len(heard) < 3 * 8000
