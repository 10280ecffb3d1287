"""When RTCP reports are due, and the times in them (RFC 3550 section 6).

When to report (section 6.2): with two members the interval is the fixed minimum of 5 s, spread over half to
one and a half of it so that reports of many calls do not fall together (section 6.3.1, without its
reconsideration, which is for sessions that people join and leave in crowds).
"""

import random

from voice.rtp.rtcp import ReportBlock

REPORT_INTERVAL = 5.0

_NTP_EPOCH = 2_208_988_800
"""Seconds from 1900 to 1970."""


def next_report(now: float, rng: random.Random) -> float:
    """When the next compound packet is due."""
    return now + REPORT_INTERVAL * rng.uniform(0.5, 1.5)


def ntp_time(unix: float) -> int:
    """A time of day as the 64 bits of a sender report."""
    return int((unix + _NTP_EPOCH) * (1 << 32)) & 0xFFFFFFFFFFFFFFFF


def round_trip(report: ReportBlock, ntp: int) -> float | None:
    """Seconds to the peer and back, from its report on us received at `ntp`; None before it got one of ours."""
    if report.last_report == 0:
        return None
    units = ((ntp >> 16) - report.last_report - report.delay) & 0xFFFFFFFF
    return units / 65_536 if units < 0x80000000 else None
