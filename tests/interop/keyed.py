"""The service's own stack in the test's process, behind a bad line: it answers every call and notes the keys."""

import asyncio
import random
import threading
from types import TracebackType
from typing import Any, Self

from ivr.phone import HungUp
from voice.call import Call, Calls, MediaPlan
from voice.clock import SystemClock
from voice.media.clock import MediaClock
from voice.media.gate import Gate, Profile
from voice.media.leg import MediaLeg
from voice.phone import CallPhone
from voice.rtp.transport import RtpSocket, UdpPorts
from voice.sip.endpoint import Endpoint
from voice.sip.session import InviteSession
from voice.sip.transport import SocketTransport
from voice.sip.useragent import Identity

from .bad_line import FAR, NEAR, BadLine
from .ports import free_ports
from .program import wait_until

CALLS = 8
"""As many calls at once are possible."""


class KeyDesk:
    """`with KeyDesk(line) as desk`: call any user at `desk.address`; what is keyed is in `desk.keyed`, call by call."""

    accepted_message_types = ()

    def __init__(self, line: BadLine) -> None:
        self.line = line
        self.port = free_ports()
        self.keyed: dict[str, str] = {}
        """By Call-ID."""
        self.ended = 0
        self._media = free_ports(2 * CALLS)
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"keys {self.port}")

    @property
    def address(self) -> tuple[str, int]:
        """Where it is to be called: at the far end of the line."""
        return FAR, self.port

    def wait_for_end(self, calls: int) -> None:
        """So many calls have come, and all have ended."""
        wait_until(lambda: self.ended >= calls, f"{calls} calls to end")
        assert len(self.keyed) == calls

    async def _start(self) -> None:
        transport = SocketTransport(udp=[(NEAR, self.port)])
        dice = random.Random(self.line.seed)
        self._clock = MediaClock()
        self._clock.start()
        self._endpoint = Endpoint(transport, identity=Identity(domain="earshot"), application=self, random=dice)
        await self._endpoint.start()
        ports = UdpPorts(NEAR, self._media, self._media + 2 * CALLS - 1)
        self._calls = Calls(self._endpoint, lambda host: ports, self._clock, lambda bound, host: FAR, "earshot")
        await self.line.open([self.port, *range(self._media, self._media + 2 * CALLS)])

    async def _stop(self) -> None:
        self.line.close()
        for task in self._tasks:
            task.cancel()
        self._clock.stop()
        await self._endpoint.close()

    # -- what stands above signalling (voice.sip.endpoint.Application) --

    def incoming_call(self, session: InviteSession) -> None:
        call = self._calls.receive(session, MediaPlan(_leg))
        call.answer()
        self.keyed[call.call_id] = ""
        task = self._loop.create_task(self._collect(call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def message(self, request: Any, flow: Any) -> None:
        return

    async def _collect(self, call: Call) -> None:
        phone = CallPhone(call)
        try:
            while True:
                self.keyed[call.call_id] += await phone.collect(60.0) or ""
        except HungUp:
            self.ended += 1

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


def _leg(rtp: RtpSocket, rtcp: RtpSocket, host: str) -> MediaLeg:
    gate = Gate(Profile.SILENCE)
    dice = random.Random()
    return MediaLeg("leg", rtp, rtcp, gate, clock=SystemClock(), rng=dice, signalling_host=host, inband_dtmf=True)
