"""Many alarms at once: every one is answered and committed."""

from pathlib import Path

import pytest

from .peers.sipp import Sipp
from .program import wait_until
from .service import Service

pytestmark = pytest.mark.alone

CALLS, RATE = 500, 50


@pytest.mark.needs("sipp")
@pytest.mark.parametrize("transport", ["u1", "t1"])
def test_fifty_alarms_a_second_for_ten_seconds_are_all_answered_and_all_kept(tmp_path: Path, transport: str) -> None:
    with Service(tmp_path, rtp_ports=600) as service:
        Sipp(
            tmp_path,
            "load",
            service.address,
            calls=CALLS,
            rate=RATE,
            talk=2,
            transport=transport,
            trace=False,
        ).run()
        incidents = wait_until(
            lambda: found if len(found := service.evidence.incidents()) >= CALLS else None,
            "500 incidents",
            30,
        )
        assert len(incidents) == CALLS
        wait_until(
            lambda: all("device_hung_up" in incident.kinds for incident in service.evidence.incidents()),
            "the end of every call on its timeline",
            30,
        )
        assert {incident.state for incident in service.evidence.incidents()} == {"open"}
