"""A process that records calls until it is killed: `python -m tests.unit.media.recording_process FOLDER`.

Four legs on real sockets, one generator among them, the product's clock, recorder and disk thread. Each line
that it prints is the number of the last packet that every leg has been sent.
"""

import asyncio
import random
import sys
from pathlib import Path

from tests.unit.media.packets import Sender
from voice.clock import SystemClock
from voice.media.clock import MediaClock
from voice.media.disk import DiskThread
from voice.media.gate import Gate
from voice.media.leg import MediaLeg
from voice.media.recorder import Recorder
from voice.rtp.transport import UdpPorts, UdpSocket
from voice.sdp.negotiation import Agreed

LEGS = 4


async def main(folder: Path) -> None:
    loop, clock, rng = asyncio.get_running_loop(), SystemClock(), random.Random()
    device, sender = UdpSocket("127.0.0.1", 0), Sender()
    agreed = Agreed(
        "PCMA", 8, {8: "PCMA"}, None, device.local, device.local, rtcp_mux=True, sends=True, receives=True, ptime=20
    )
    disk = DiskThread(loop.call_soon_threadsafe)
    recorder = Recorder(folder, disk, clock)
    media_clock = MediaClock(on_settle=disk.attend)
    media_clock.start()
    ports = UdpPorts("127.0.0.1", 30_100, 30_999)
    legs = []
    for number in range(LEGS):
        leg = MediaLeg(f"leg{number}", *ports.open_pair(), Gate(), clock=clock, rng=rng)
        leg.record(recorder, "inc1")
        leg.start(agreed)
        media_clock.add(leg)
        legs.append(leg)
    began = loop.time()
    for number in range(3000):
        await asyncio.sleep(max(0.0, began + number * 0.02 - loop.time()))
        for leg in legs:
            device.send(sender.packet(number), leg.rtp.local)
        print(number, flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
