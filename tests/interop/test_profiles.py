"""What a device is sent while nobody talks to it, by its profile: counted in the packets themselves."""

from pathlib import Path

import pytest

from .badge import Badge
from .program import wait_until
from .service import Service
from .sounds import tone

pytestmark = pytest.mark.needs("sipp")

DEVICES = [
    {"id": profile, "username": profile, "discreet": profile} for profile in ("silence", "keepalive", "recvonly")
]


@pytest.mark.parametrize(
    ("profile", "fewest", "most"), [("silence", 75, 300), ("keepalive", 1, 15), ("recvonly", 0, 0)]
)
def test_a_device_is_sent_no_more_than_its_profile_allows(tmp_path: Path, profile: str, fewest: int, most: int) -> None:
    with (
        Service(tmp_path, devices=DEVICES) as service,
        Badge(tmp_path, service, tone(400, 6), user=profile) as badge,
    ):
        wait_until(lambda: badge.has_said(3), "three seconds of audio")
        incident = service.wait_for_entry("answered")
        assert incident.row["device_id"] == profile
        assert fewest <= len(badge.rtp.audible) <= most
        assert not badge.disturbed
        assert ("a=recvonly" in badge.answer.body) == (profile == "recvonly")
