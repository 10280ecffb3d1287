"""The peers among themselves: what the tests of the service rely on holds without it."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .certificates import Certificates
from .peers.baresip import Baresip
from .peers.linphone import Linphone
from .peers.sipp import Sipp
from .program import wait_until
from .rtp import RtpEnd
from .sounds import from_alaw, seconds_of, to_alaw, tone

Sound = Callable[..., Path]


@pytest.mark.needs("baresip", "linphonec")
def test_linphone_calls_baresip_and_each_hears_the_other_and_its_digits(tmp_path: Path, sound: Sound) -> None:
    with (
        Baresip(tmp_path, "bob", sound(400)) as bob,
        Linphone(tmp_path, "linda", sound(1900)) as linda,
    ):
        linda.dial(f"sip:bob@127.0.0.1:{bob.port}")
        bob.wait_for_ring()
        bob.answer()
        bob.wait_for_call()
        linda.wait_for_call()
        wait_until(lambda: seconds_of(bob.heard, 1900) > 1, "baresip to hear linphone")
        wait_until(lambda: seconds_of(linda.heard, 400) > 1, "linphone to hear baresip")
        for digit in "5*#":
            linda.digit(digit)
            bob.wait_for(f"received event: '[{digit}]'")
            bob.digit(digit)
            linda.wait_for(f"Receiving tone [{digit}]")
        bob.hang_up()
        linda.wait_for_end()
        bob.wait_for_end()


@pytest.mark.needs("baresip", "linphonec")
def test_baresip_calls_linphone_over_ipv6(tmp_path: Path, sound: Sound) -> None:
    with (
        Baresip(tmp_path, "bob", sound(400), host="::1") as bob,
        Linphone(tmp_path, "linda", sound(1900), host="::1") as linda,
    ):
        bob.dial(f"sip:linda@[::1]:{linda.port}")
        linda.wait_for_ring()
        linda.answer()
        linda.wait_for_call()
        bob.wait_for_call()
        wait_until(lambda: seconds_of(bob.heard, 1900) > 0.5, "baresip to hear linphone")
        wait_until(lambda: seconds_of(linda.heard, 400) > 0.5, "linphone to hear baresip")
        linda.hang_up()
        bob.wait_for_end()


@pytest.mark.needs("baresip", "linphonec")
@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_linphone_calls_baresip_over_a_stream(
    tmp_path: Path, sound: Sound, certificates: Certificates, transport: str
) -> None:
    with (
        Baresip(tmp_path, "bob", sound(400), answers="auto", certificates=certificates) as bob,
        Linphone(tmp_path, "linda", sound(1900), transport=transport, authority=certificates.authority) as linda,
    ):
        port = bob.port + (transport == "tls")
        linda.dial(f"sip:bob@127.0.0.1:{port};transport={transport}")
        linda.wait_for_call()
        wait_until(lambda: seconds_of(linda.heard, 400) > 0.5, "linphone to hear baresip")
        linda.hang_up()
        bob.wait_for_end()


@pytest.mark.needs("sipp", "baresip")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_sipp_calls_baresip_while_the_audio_is_sent_and_kept_bit_for_bit(
    tmp_path: Path, sound: Sound, host: str
) -> None:
    with (
        Baresip(tmp_path, "bob", sound(400), answers="auto", host=host) as bob,
        RtpEnd(to_alaw(tone(1900, 5)), host) as device,
        Sipp(tmp_path, "alarm", (host, bob.port), service="bob", audio_port=device.port, talk=2.5) as sipp,
    ):
        sipp.succeed()
        bob.wait_for_end()
    assert seconds_of(from_alaw(device.heard), 400) > 1.5
    assert seconds_of(bob.heard, 1900) > 1.5


@pytest.mark.needs("sipp", "baresip")
def test_sipp_plays_a_file_by_itself(tmp_path: Path, sound: Sound) -> None:
    with Baresip(tmp_path, "bob", sound(400), answers="auto") as bob:
        Sipp(
            tmp_path,
            "alarm_rtp",
            ("127.0.0.1", bob.port),
            service="bob",
            alaw=to_alaw(tone(1900, 5)),
            talk=2.5,
        ).run()
        bob.wait_for_end()
        time.sleep(0.2)
        assert seconds_of(bob.heard, 1900) > 1.5
