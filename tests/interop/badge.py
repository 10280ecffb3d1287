"""A device of which every packet is seen: SIPp signals, the test itself speaks and listens."""

import re
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from .peers.sipp import Sipp
from .rtp import RtpEnd
from .service import Service
from .sounds import Samples, from_alaw, seconds_of, to_alaw


class Badge:
    """Calls the service at once and speaks from the 200 on.

    It stays until it is hung up on, or for `hangs_up` seconds.
    """

    def __init__(
        self,
        directory: Path,
        service: Service,
        says: Samples,
        *,
        user: str = "badge",
        dials: str = "alarm",
        host: str = "127.0.0.1",
        transport: str = "u1",
        hangs_up: float | None = None,
    ) -> None:
        self.rtp = RtpEnd(to_alaw(says), host)
        self.sipp = Sipp(
            directory,
            "alarm_until_bye" if hangs_up is None else "alarm",
            (host, service.port),
            service=dials,
            user=user,
            transport=transport,
            audio_port=self.rtp.port,
            talk=hangs_up or 0,
            patience=90,
        )
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.rtp)
            stack.enter_context(self.sipp)
            self.answer = self.sipp.wait_for_status(200)
            self.rtp.remote = audio_address(self.answer.body)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def has_said(self, seconds: float) -> bool:
        """Whether so much of its audio has been sent."""
        return self.rtp.sent_seconds >= seconds

    @property
    def disturbed(self) -> bool:
        """Whether anything but digital silence has ever reached it."""
        return bool(self.rtp.sounds)

    def heard(self, frequency: float) -> float:
        """For how many seconds it has heard a tone."""
        return seconds_of(from_alaw(self.rtp.heard), frequency)


def audio_address(sdp: str) -> tuple[str, int]:
    """Where the audio goes by a session description with one address."""
    address = re.search(r"^c=IN IP[46] (\S+)", sdp, re.MULTILINE)
    port = re.search(r"^m=audio (\d+) ", sdp, re.MULTILINE)
    if not address or not port:
        raise AssertionError(f"no audio in this description:\n{sdp}")
    return address[1], int(port[1])
