"""A caller who hangs up just as he is answered. By hand, because SIPp's transactions assert on a 100 that crosses."""

import re
import socket
import time

_FINAL = re.compile(rb"^SIP/2\.0 ([2-6]\d\d) ")
_BODY = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 8\r\n"


class RacingCall:
    """One INVITE, and a CANCEL `wait` seconds behind it, over UDP."""

    def __init__(self, server: tuple[str, int], user: str, number: int, wait: float) -> None:
        self._server = server
        self._wait = wait
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(10)
        self._here = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._uri = f"sip:alarm@{server[0]}:{server[1]}"
        self._common = f"From: <sip:{user}@{self._here}>;tag={number}\r\nCall-ID: race-{number}@{self._here}\r\n"

    def run(self) -> int:
        """Invite, cancel, and end the call whichever won. Returns the final status of the INVITE."""
        try:
            self._send("INVITE", 1, "branch-1", body=_BODY)
            time.sleep(self._wait)
            self._send("CANCEL", 1, "branch-1")
            status, tag = 0, ""
            cancelled = False
            while not (status and cancelled):
                data = self._socket.recv(65536)
                final = _FINAL.match(data)
                if final is None:
                    continue
                if b"CSeq: 1 CANCEL" in data:
                    cancelled = True
                else:
                    status = int(final[1])
                    tag = re.search(rb"^To:.*;tag=([^;\r\n]+)", data, re.MULTILINE)[1].decode()  # type: ignore[index]
            self._send("ACK", 1, "branch-2" if status == 200 else "branch-1", tag=tag)
            if status == 200:
                self._send("BYE", 2, "branch-3", tag=tag)
                while b"CSeq: 2 BYE" not in self._socket.recv(65536):
                    pass
            return status
        finally:
            self._socket.close()

    def _send(self, method: str, number: int, branch: str, *, tag: str = "", body: bytes = b"") -> None:
        head = (
            f"{method} {self._uri} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {self._here};branch=z9hG4bK-{branch}-{self._here};rport\r\n"
            f"{self._common}To: <{self._uri}>{';tag=' + tag if tag else ''}\r\n"
            f"CSeq: {number} {method}\r\nMax-Forwards: 70\r\nContact: <sip:racer@{self._here}>\r\n"
            f"{'Content-Type: application/sdp' if body else 'Subject: race'}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._socket.sendto(head.encode() + body, self._server)
