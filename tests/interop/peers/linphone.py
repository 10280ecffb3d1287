"""Linphone 5.1 on a terminal (`linphonec`), with WAV files in place of a sound card.

`linphonec` runs its event loop only while it waits for a key at a terminal, hence the pseudo-terminal. Its
folder `~/.local/share/linphone` has to exist. Digest with SHA-256 or MD5, TLS with a root CA of its own.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..ports import free_ports
from ..program import Program, wait_until
from ..sounds import Samples

CONFIG = """\
[sip]
sip_port={udp}
sip_tcp_port={tcp}
sip_tls_port={tls}
use_ipv6={ipv6}
ipv6_migration_done=1
bind_address={host}
media_encryption=none
use_rfc2833=1
use_info={info}
verify_server_certs=1
verify_server_cn=1
{root}

[rtp]
audio_rtp_port={rtp_low}-{rtp_high}
bind_address={host}
nortp_timeout=300

[net]
firewall_policy=0
mtu=1300

[sound]
echocancellation=0
agc=0
"""


class Linphone(Program):
    """A phone that registers with `server` when one is given."""

    def __init__(
        self,
        directory: Path,
        user: str,
        wav: Path,
        *,
        server: tuple[str, int] | None = None,
        password: str = "none",
        transport: str = "udp",
        answers: str = "manual",
        host: str = "127.0.0.1",
        authority: Path | None = None,
        info: bool = False,
    ) -> None:
        super().__init__(f"linphone-{user}", directory)
        self.user, self.wav, self.host, self.answers = user, wav, host, answers
        self.server, self.password, self.transport = server, password, transport
        self.heard_file = self.directory / "heard.wav"
        self.port = free_ports()
        rtp = free_ports(10)
        ports = {name: (self.port if name == transport else 0) for name in ("udp", "tcp", "tls")}
        (self.directory / "linphonerc").write_text(
            CONFIG.format(
                **ports,
                host=host,
                ipv6=int(":" in host),
                info=int(info),
                root=f"root_ca={authority}" if authority else "",
                rtp_low=rtp,
                rtp_high=rtp + 9,
            )
        )
        (self.directory / ".local/share/linphone").mkdir(parents=True, exist_ok=True)

    def environment(self) -> Mapping[str, str]:
        return {"HOME": str(self.directory), "XDG_RUNTIME_DIR": str(self.directory)}

    def command(self) -> Sequence[str]:
        automatic = ["-a"] if self.answers == "auto" else []
        folder = self.directory
        return [
            "linphonec",
            "-S",
            *automatic,
            "-d",
            "6",
            "-l",
            str(folder / "core.log"),
            "-c",
            str(folder / "linphonerc"),
        ]

    def start(self, *, terminal: bool = True) -> None:
        super().start(terminal=terminal)

    def ready(self) -> None:
        self.wait_for("linphonec> ")
        core = self.directory / "core.log"
        wait_until(
            lambda: core.exists() and "SIP network reachability state is now [UP]" in core.read_text(errors="replace"),
            "linphone's network to be up",
        )
        for line in ("soundcard use files", f"play {self.wav}", f"record {self.heard_file}"):
            self.write_line(line)
            self.wait_for("linphonec> ")
        if self.server is not None:
            self._register(self.server)

    def _register(self, server: tuple[str, int]) -> None:
        host, port = server
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        parameter = "" if self.transport == "udp" else f";transport={self.transport}"
        self.write_line(f"register sip:{self.user}@{where} sip:{where}{parameter} {self.password}")

        def registered() -> bool:
            self.write_line("status register")
            return self.expect(r"(?m)^registered, identity=", 1.0)

        wait_until(registered, f"{self.name} to be registered")

    def dial(self, uri: str) -> None:
        self.write_line(f"call {uri}")

    def wait_for_ring(self) -> None:
        self.wait_for(r"is contacting you|Receiving new incoming call|Incoming call")

    def answer(self) -> None:
        self.write_line("answer")

    def wait_for_call(self) -> None:
        self.wait_for("Media streams established|connected")

    def digit(self, digit: str) -> None:
        self.write_line(digit)

    def hang_up(self) -> None:
        self.write_line("terminate")

    def wait_for_end(self) -> None:
        self.wait_for("ended")

    def quit(self) -> None:
        self.write_line("quit")

    @property
    def heard(self) -> Samples:
        """What it has heard since it was started. Its recorder fills in the 44 bytes of header at the end."""
        samples = self.heard_file.read_bytes()[44:] if self.heard_file.exists() else b""
        return np.frombuffer(samples[: len(samples) // 2 * 2], "<i2").astype(np.int16)
