"""A simulated control room: the person who picks up says first of all that nobody was really called.

    room = ControlRoom(phone, speaker, language="nl", presses="2")

`phone` is any simulated telephone: one with an address of its own, or a line of a simulated exchange.
"""

import asyncio
from collections.abc import Callable

from ivr.speech import Speaker
from voice.sim.phone import SimPhone
from voice.sim.phone_call import PhoneCall

SAYS = {
    "en": "This is a simulated control room. No emergency service has been called.",
    "nl": "Dit is een gesimuleerde meldkamer. Er is geen hulpdienst gebeld.",
    "de": "Dies ist eine simulierte Leitstelle. Es wurde kein Rettungsdienst gerufen.",
    "fr": "Ceci est un centre d'appels d'urgence simulé. Aucun service de secours n'a été appelé.",
}


class ControlRoom:
    """The people of a control room at a simulated telephone."""

    def __init__(
        self, phone: SimPhone, speaker: Speaker, *, language: str = "en", presses: str = "", after: float = 10.0
    ) -> None:
        """`presses`: the keys that the call taker presses `after` seconds of listening."""
        self.phone = phone
        self.calls: list[PhoneCall] = []
        self.presses = presses
        self.after = after
        self._speaker = speaker
        self._language = language
        self._tasks: set[asyncio.Task[None]] = set()
        self._also: Callable[[PhoneCall], None] | None = phone.on_call
        phone.on_call = self._called

    def _called(self, call: PhoneCall) -> None:
        if self._also is not None:
            self._also(call)
        self.calls.append(call)
        task = asyncio.get_running_loop().create_task(self._take(call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take(self, call: PhoneCall) -> None:
        try:
            await call.established()
        except ConnectionError:
            return
        call.say(await self._speaker.speak(SAYS[self._language], self._language))
        if self.presses:
            await asyncio.sleep(self.after)
            if not call.is_over:
                call.press(self.presses)
