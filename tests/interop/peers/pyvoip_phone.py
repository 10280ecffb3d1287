"""A process of its own: a phone made of pyVoIP (GPL: only ever run as a peer, no part of the product).

    python pyvoip_phone.py HOST PORT USER PASSWORD OWN_PORT RTP_LOW RTP_HIGH SAY.wav HEARD.raw ANSWER

Orders come by lines on standard input (`call USER`, `answer`, `hangup`, `quit`); events go out by lines
(`registered`, `ringing`, `answered`, `digit N`, `ended`). It speaks unsigned 8-bit samples; what it hears is
written as such.
"""

import sys
import threading
import time
import traceback
import wave
from pathlib import Path
from typing import Any

from pyVoIP.VoIP import CallState, PhoneStatus, VoIPPhone


def say(event: str) -> None:
    print(event, flush=True)


def load(path: str) -> bytes:
    with wave.open(path) as file:
        samples = file.readframes(file.getnframes())
    # Of each little-endian 16-bit sample the high byte, made unsigned.
    return bytes(byte ^ 0x80 for byte in samples[1::2])


class Phone:
    """One line: the call that is under way, and the thread that listens to it."""

    def __init__(self, arguments: list[str]) -> None:
        host, port, user, password, own_port, low, high, wav, heard, answers = arguments
        self.wav, self.heard, self.answers = load(wav), Path(heard), answers
        self.call: Any = None
        self.phone = VoIPPhone(
            host,
            int(port),
            user,
            password,
            myIP="127.0.0.1",
            callCallback=self.incoming,
            sipPort=int(own_port),
            rtpPortLow=int(low),
            rtpPortHigh=int(high),
        )

    def incoming(self, call: Any) -> None:
        self.call = call
        say("ringing")
        if self.answers == "auto":
            self.answer()

    def answer(self) -> None:
        self.call.answer()
        threading.Thread(target=self.converse, args=(self.call,), daemon=True).start()

    def dial(self, number: str) -> None:
        self.call = self.phone.call(number)
        threading.Thread(target=self.converse, args=(self.call,), daemon=True).start()

    def converse(self, call: Any) -> None:
        while call.state in (CallState.DIALING, CallState.RINGING):
            time.sleep(0.02)
        if call.state == CallState.ANSWERED:
            say("answered")
            call.write_audio(self.wav)
            with self.heard.open("wb") as heard:
                while call.state == CallState.ANSWERED:
                    heard.write(call.read_audio(160, False))
                    heard.flush()
                    if digit := call.get_dtmf():
                        say(f"digit {digit}")
                    time.sleep(0.02)
        say("ended")

    def run(self) -> None:
        self.phone.start()
        deadline = time.monotonic() + 15
        while self.phone.get_status() != PhoneStatus.REGISTERED and time.monotonic() < deadline:
            time.sleep(0.05)
        say("registered" if self.phone.get_status() == PhoneStatus.REGISTERED else "not registered")
        for line in sys.stdin:
            order, _, parameter = line.strip().partition(" ")
            try:
                if order == "call":
                    threading.Thread(target=self.dial, args=(parameter,), daemon=True).start()
                elif order == "answer":
                    self.answer()
                elif order == "hangup":
                    self.call.hangup()
                elif order == "quit":
                    break
            except Exception:  # noqa: BLE001 - whatever pyVoIP raises belongs into the log
                traceback.print_exc()
        self.phone.stop()


if __name__ == "__main__":
    Phone(sys.argv[1:]).run()
