"""Understanding the voice on the telephone, for simulated people: which prompt was it, and which key does it ask for?

The service speaks its clips into the call unchanged, so who has the same voice finds them again, byte for byte, in
what he heard. (On a line with losses or another codec that fails, as it should: nothing is guessed.)
"""

from typing import Any

from ivr.speech import Voice


async def said(voice: Voice, audio: bytes, prompt: str, **values: Any) -> bool:
    """Whether this prompt is, whole, in what was heard (A-law)."""
    return await voice.say(prompt, **values) in audio


async def key_asked_for(voice: Voice, audio: bytes) -> str | None:
    """The key that takes the alarm, if it has been named."""
    for key in "123456789":
        if await said(voice, audio, "accept.take", key=key):
            return key
    return None
