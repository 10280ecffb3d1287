"""baresip 1.0: an open-source phone, driven by netstrings with JSON on a TCP port.

What it hears is kept by its `sndfile` filter; what it says comes from a WAV through its `aufile` source; its
player is `aubridge`, which needs no sound card. It answers digest challenges with MD5 only, and gives up on
an answer that challenges with anything else as well.
"""

import json
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..certificates import Certificates
from ..ports import free_ports
from ..program import Program, ProgramFailed, wait_until
from ..sounds import Samples, read_wav, silence

CONFIG = """\
poll_method epoll
sip_listen {sip_listen}
{tls}
call_local_timeout 120
call_max_calls 8
audio_path /nonexistent
audio_player aubridge,ear
audio_alert aubridge,bell
audio_source aufile,{wav}
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
audio_buffer 20-160
rtp_ports {rtp_low}-{rtp_high}
rtcp_mux no
jitter_buffer_delay 1-20
net_interface {host}
module_path {modules}
module g711.so
module aufile.so
module aubridge.so
module sndfile.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{control}
snd_path {heard}
statmode_default off
"""

TLS = """\
sip_certificate {own}
sip_cafile {ca}
"""

MODULES = (Path("/usr/lib/baresip/modules"), Path("/usr/lib/x86_64-linux-gnu/baresip/modules"))


class Baresip(Program):
    """A phone with one account at `server`, or with none for calls from address to address."""

    def __init__(
        self,
        directory: Path,
        user: str,
        wav: Path,
        *,
        server: tuple[str, int] | None = None,
        password: str = "",
        transport: str = "udp",
        answers: str = "manual",
        host: str = "127.0.0.1",
        certificates: Certificates | None = None,
        expires: int = 120,
    ) -> None:
        super().__init__(f"baresip-{user}", directory)
        self.user, self.host, self.server, self.transport = user, host, server, transport
        self.port = free_ports(2)  # the second is taken by its TLS listener
        self.control = free_ports()
        self.heard_folder = self.directory / "heard"
        self.heard_folder.mkdir(exist_ok=True)
        rtp = free_ports(20)
        bracketed = f"[{host}]" if ":" in host else host
        (self.directory / "config").write_text(
            CONFIG.format(
                sip_listen=f"{bracketed}:{self.port}",
                tls=TLS.format(own=certificates.both, ca=certificates.authority) if certificates else "",
                wav=wav,
                rtp_low=rtp,
                rtp_high=rtp + 19,
                host=host,
                modules=next((folder for folder in MODULES if folder.is_dir()), MODULES[0]),
                control=self.control,
                heard=self.heard_folder,
            )
        )
        self.authority = f"{bracketed}:{self.port}" if server is None else _host_and_port(server)
        parameters = f"answermode={answers};audio_codecs=pcma;regint={expires if server else 0}"
        if password:
            parameters += f";auth_user={user};auth_pass={password}"
        account = f"<sip:{user}@{self.authority};transport={transport}>;{parameters}\n"
        (self.directory / "accounts").write_text(account)
        (self.directory / "contacts").write_text("")

    def command(self) -> Sequence[str]:
        family = "-6" if ":" in self.host else "-4"
        return ["baresip", family, "-v", "-s", "-f", str(self.directory)]

    def ready(self) -> None:
        self.wait_for("baresip is ready")
        wait_until(lambda: self.order("listcalls") is not None, "baresip's control port")
        if self.server is not None:
            self.wait_for(r"200 OK \(.*\) \[\d+ binding")

    def order(self, command: str, parameters: str = "") -> str | None:
        """Give a command over the control port; what it says, or None while nobody listens there."""
        order = json.dumps({"command": command, "params": parameters, "token": "order"}).encode()
        try:
            with socket.create_connection(("127.0.0.1", self.control), timeout=5) as connection:
                connection.sendall(b"%d:%s," % (len(order), order))
                answer = _answer_to(connection)
        except OSError:
            return None
        if not answer.get("ok"):
            raise self.failed(f"{command} {parameters}: {answer}")
        return str(answer.get("data", ""))

    def dial(self, uri: str) -> None:
        """Call a SIP URI, or a user at the account's server."""
        self.order("dial", uri)

    def wait_for_ring(self) -> None:
        self.wait_for(r"Incoming call from|incoming call")

    def answer(self) -> None:
        self.order("accept")

    def wait_for_call(self) -> None:
        self.wait_for("Call established")

    def digit(self, digit: str) -> None:
        """Press a key for a while (RFC 4733) and let it go."""
        self.order("sndcode", digit)

    def hang_up(self) -> None:
        self.order("hangup")

    def wait_for_end(self) -> None:
        self.wait_for(r"session closed|Call with .* terminated")

    def quit(self) -> None:
        try:
            self.order("quit")
        except (ProgramFailed, ValueError):
            return

    @property
    def heard(self) -> Samples:
        """What it has heard in its last call so far, from the answer on."""
        files = sorted(self.heard_folder.glob("*-dec.wav"), key=lambda file: file.stat().st_mtime)
        return read_wav(files[-1]) if files else silence(0)


def _host_and_port(address: tuple[str, int]) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _answer_to(connection: socket.socket) -> dict[str, Any]:
    """Read netstrings until the answer to our order; events come in between."""
    data = b""
    while True:
        received = connection.recv(65536)
        if not received:
            raise ConnectionError("the control port was closed")
        data += received
        while b":" in data:
            length, _, rest = data.partition(b":")
            if len(rest) <= int(length):
                break
            message, data = rest[: int(length)], rest[int(length) + 1 :]
            answer: dict[str, Any] = json.loads(message)
            if answer.get("response"):
                return answer
