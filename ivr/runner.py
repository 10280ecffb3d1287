"""The thin shell of a conversation: does on the phone what the state machine wants, and tells it what happened."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from ivr.menu import HUNG_UP, NOTHING, Action, Conversation, Dialogue, End, Keys, Play, Result
from ivr.phone import HungUp, Phone
from ivr.speech import Voice

OnKey = Callable[[str, str], None]
"""Told (step, key) at the moment at which a key is accepted, before it is confirmed by voice."""


async def converse(
    dialogue: Dialogue,
    phone: Phone,
    voice: Voice,
    *,
    values: Mapping[str, Any] = NOTHING,
    on_key: OnKey | None = None,
    suspicion: Callable[[], int] | None = None,
) -> Result:
    """Lead one conversation to its end. Being cancelled stops the sound and leaves the call up.

    `suspicion` is asked whenever something was played or waited for (`Conversation.suspicion`).
    """
    time = asyncio.get_running_loop().time
    conversation = Conversation(dialogue, language=voice.language, values=values)
    try:
        action: Action = conversation.begin(time())
        while not isinstance(action, End):
            step, key = conversation.step, await _do(action, phone, voice, values)
            if suspicion is not None:
                conversation.suspicion = suspicion()
            action = _next(conversation, action, key, time())
            if conversation.keyed is not None and on_key is not None:
                on_key(step, conversation.keyed)
        if action.hang_up:
            await phone.hang_up()
    except HungUp:
        conversation.hung_up(time())
    finally:
        phone.stop()
    return conversation.result or Result(HUNG_UP, hung_up=True)


async def say(phone: Phone, voice: Voice, *prompts: str, **values: Any) -> bool:
    """Say something to whom no answer is expected of. Whether he was still there to hear it to the end."""
    try:
        await phone.play([await voice.say(prompt, **values) for prompt in prompts], barge_in=False)
    except HungUp:
        return False
    return True


async def _do(action: Action, phone: Phone, voice: Voice, values: Mapping[str, Any]) -> str | None:
    """Play or listen; the key that was pressed."""
    if not isinstance(action, Play):
        return await phone.collect(action.seconds) if not isinstance(action, End) else None
    speaking = voice.in_language(action.language)
    clips = [await speaking.say(prompt, **values) for prompt in action.prompts]
    key = await phone.play(clips, barge_in=action.keys is Keys.INTERRUPT)
    if action.keys is Keys.DROPPED:
        while await phone.collect(0) is not None:
            pass
    return key


def _next(conversation: Conversation, action: Action, key: str | None, now: float) -> Action:
    conversation.keyed = None
    if key is not None:
        return conversation.digit(key, now) or action
    if isinstance(action, Play):
        return conversation.played(now)
    return conversation.timer(now) or action
