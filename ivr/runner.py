"""The thin shell of a conversation: does on the phone what the state machine wants, and tells it what happened."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ivr import desk as desks
from ivr.conversation import Conversation
from ivr.desk import Desk
from ivr.machine import Machine
from ivr.menu import (
    HUNG_UP,
    NOTHING,
    RECORDED,
    TONE,
    Action,
    Answer,
    Dialogue,
    Do,
    End,
    Keys,
    Listen,
    Play,
    Record,
    Result,
    language_of,
)
from ivr.phone import HungUp, Listens, Phone
from ivr.sound import parted
from ivr.speech import Voice
from ivr.tones import beep

OnKey = Callable[[str, str], None]
"""Told (step, key) at the moment at which a key is accepted, before it is confirmed by voice."""


async def converse(
    dialogue: Dialogue,
    phone: Phone,
    voice: Voice,
    *,
    values: Mapping[str, Any] = NOTHING,
    desk: Desk | None = None,
    on_key: OnKey | None = None,
    suspicion: Callable[[], int] | None = None,
) -> Result:
    """Lead one conversation to its end. Being cancelled stops the sound and leaves the call up.

    `desk` does what the dialogue wants done (`ivr.menu.Act`). `suspicion` is asked whenever something was played or
    waited for (`Conversation.suspicion`).
    """
    conversation = Conversation(dialogue, language=voice.language, values=values)
    leading = _Leading(conversation, phone, voice, desk, on_key)
    try:
        action: Action = conversation.begin(leading.time())
        while not isinstance(action, End):
            action = await leading.follow(action)
            if suspicion is not None:
                conversation.suspicion = suspicion()
        if action.hang_up:
            await phone.hang_up()
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


async def prepare(voice: Voice, prompts: Iterable[str], values: Mapping[str, Any]) -> None:
    """Render ahead what needs no other values than these, each prompt in the language that it is said in."""
    wanted = (language_of(prompt, voice.language) for prompt in prompts)
    async with asyncio.TaskGroup() as group:
        for language, id in wanted:
            if all(name in values for name, _ in voice.prompts.message(language, id).placeholders()):
                group.create_task(voice.in_language(language).prepare((id,), values))


@contextmanager
def heard_by(machine: Machine, phone: Phone) -> Iterator[None]:
    """Have an answering machine detector listen, where the phone can do that."""
    if not isinstance(phone, Listens):
        yield
        return
    phone.listen(machine.hear)
    try:
        yield
    finally:
        phone.listen(None)


class _Leading:
    def __init__(
        self, conversation: Conversation, phone: Phone, voice: Voice, desk: Desk | None, on_key: OnKey | None
    ) -> None:
        self.conversation = conversation
        self.time = asyncio.get_running_loop().time
        self._phone = phone
        self._voice = voice
        self._desk = desk
        self._pause = b""
        self._on_key = on_key

    async def follow(self, action: Action) -> Action:
        """Do it; what is to be done next."""
        try:
            return await self._follow(action)
        except HungUp:
            self.conversation.missed(await self._left_over())
            return self.conversation.hung_up(self.time())

    async def _follow(self, action: Action) -> Action:
        conversation, phone = self.conversation, self._phone
        match action:
            case Play():
                key = await phone.play(await self._clips(action), barge_in=action.keys is Keys.INTERRUPT)
                if action.keys is Keys.DROPPED:
                    conversation.missed(await self._left_over())
                return conversation.played(self.time()) if key is None else self._pressed(key, action)
            case Listen():
                key = await phone.collect(action.seconds)
                return conversation.timer(self.time()) or action if key is None else self._pressed(key, action)
            case Record():
                clip = await phone.record(action.seconds, ends=action.ends)
                return conversation.recorded(clip, self.time())
            case Do():
                return conversation.answered(await self._do(action), self.time())
            case End():
                return action

    def _pressed(self, key: str, action: Action) -> Action:
        step = self.conversation.step
        following = self.conversation.digit(key, self.time()) or action
        if self.conversation.keyed is not None and self._on_key is not None:
            self._on_key(step, self.conversation.keyed)
        return following

    async def _do(self, action: Do) -> Answer:
        if self._desk is None:
            raise TypeError(f"nobody is there to {action.does}")
        return await desks.do(self._desk, action)

    async def _clips(self, action: Play) -> list[bytes]:
        """Those to be played. The pause behind an announcement belongs to what follows: who is quick and presses the
        key in it, after it was named, has pressed it."""
        clips = [self._pause, *[await self._clip(prompt, action.language) for prompt in action.prompts]]
        self._pause = b""
        if action.keys is Keys.DROPPED:
            clips[-1], self._pause = parted(clips[-1])
        return [clip for clip in clips if clip]

    async def _clip(self, prompt: str, language: str) -> bytes:
        if prompt == TONE:
            return beep()
        if prompt == RECORDED:
            return self.conversation.clip
        spoken, id = language_of(prompt, language)
        return await self._voice.in_language(spoken).say(id, **self.conversation.values)

    async def _left_over(self) -> str:
        """The keys that were pressed and that nobody has asked for."""
        keys = ""
        try:
            while (key := await self._phone.collect(0)) is not None:
                keys += key
        except HungUp:
            pass
        return keys
