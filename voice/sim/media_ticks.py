"""The clock of a simulated phone's audio."""

import asyncio

from voice.sim.phone_call import PhoneCall


class MediaTicks:
    """The clock of a phone's audio: one timer for all its calls, at absolute deadlines."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._calls: list[PhoneCall] = []
        self._start = 0.0
        self._ticks = 0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, call: PhoneCall) -> None:
        self._calls.append(call)
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._start, self._ticks = loop.time(), 0
            self._timer = loop.call_at(self._start + self._interval, self._tick)

    def remove(self, call: PhoneCall) -> None:
        if call in self._calls:
            self._calls.remove(call)
        if not self._calls and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._ticks += 1
        deadline = self._start + (self._ticks + 1) * self._interval
        self._timer = asyncio.get_running_loop().call_at(deadline, self._tick)
        for call in tuple(self._calls):
            call.tick()
