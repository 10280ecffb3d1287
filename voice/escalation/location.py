"""Where help is needed: as a PIDF-LO document beside an emergency call, and as the facts that are spoken in it. Pure.

Circle with its uncertainty (RFC 5491 section 5.2.3), as of when (`timestamp`), the address in words. It is conveyed by
value, as a part of the body that the header `Geolocation` names (RFC 6442 sections 3.1 and 4.1).
"""

from datetime import UTC, datetime
from xml.sax.saxutils import escape, quoteattr

from config.plans import EmergencyRoute, FrozenPlan
from ivr import briefing
from voice.escalation.state import Facts
from voice.sip.bodies import BodyPart

PIDF = "application/pidf+xml"
WGS84 = "urn:ogc:def:crs:EPSG::4326"
METRES = "urn:ogc:def:uom:EPSG::9001"

_DOCUMENT = """<?xml version="1.0" encoding="UTF-8"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model"
 xmlns:gp="urn:ietf:params:xml:ns:pidf:geopriv10" xmlns:gbp="urn:ietf:params:xml:ns:pidf:geopriv10:basicPolicy"
 xmlns:gml="http://www.opengis.net/gml" xmlns:gs="http://www.opengis.net/pidflo/1.0"
 xmlns:ca="urn:ietf:params:xml:ns:pidf:geopriv10:civicAddr" entity={entity}>
<dm:device id="worker">
<gp:geopriv>
<gp:location-info>{place}</gp:location-info>
<gp:usage-rules><gbp:retransmission-allowed>yes</gbp:retransmission-allowed></gp:usage-rules>
<gp:method>{method}</gp:method>
</gp:geopriv>
<dm:deviceID>{device}</dm:deviceID>
{note}{timestamp}</dm:device>
</presence>
"""


def pidf_lo(facts: Facts, *, incident: str, domain: str, country: str) -> bytes | None:
    """The location of a worker as PIDF-LO (RFC 4119); None when nothing is known of it.

    An address of the configuration is `Manual`, without a time: nobody has measured it. A device's own position has
    the time at which it was taken.
    """
    place = _circle(facts) or _civic(facts, country)
    if place is None:
        return None
    at = facts.located_at
    text = _DOCUMENT.format(
        entity=quoteattr(f"pres:{incident}@{domain}"),
        place=place,
        method="Manual" if at is None else "Device-Based",
        device=escape(f"sip:{facts.device or 'unknown'}@{domain}"),
        note=f"<dm:note>{escape(facts.address)}</dm:note>\n" if facts.address else "",
        timestamp=f"<dm:timestamp>{_utc(at)}</dm:timestamp>\n" if at is not None else "",
    )
    return text.replace("\n", "\r\n").encode()


def _circle(facts: Facts) -> str | None:
    if facts.latitude is None or facts.longitude is None:
        return None
    position = f"<gml:pos>{facts.latitude:.6f} {facts.longitude:.6f}</gml:pos>"
    if facts.uncertainty_m is None:
        return f'<gml:Point srsName="{WGS84}">{position}</gml:Point>'
    radius = f'<gs:radius uom="{METRES}">{facts.uncertainty_m:.0f}</gs:radius>'
    return f'<gs:Circle srsName="{WGS84}">{position}{radius}</gs:Circle>'


def _civic(facts: Facts, country: str) -> str | None:
    """An address that is one line of text: additional location information of a country (RFC 5139 section 3.1)."""
    if not facts.address:
        return None
    line = escape(facts.address)
    return f"<ca:civicAddress><ca:country>{country}</ca:country><ca:LOC>{line}</ca:LOC></ca:civicAddress>"


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def conveyed(document: bytes, *, incident: str, domain: str) -> tuple[tuple[tuple[str, str], ...], BodyPart]:
    """The headers and the body part by which an INVITE conveys a location, for routing as well (RFC 6442)."""
    content_id = f"location-{incident}@{domain}"
    headers = (("Geolocation", f"<cid:{content_id}>"), ("Geolocation-Routing", "yes"))
    return headers, BodyPart(PIDF, document, content_id, "by-reference;handling=optional")


def briefing_facts(facts: Facts, opened_at: datetime, frozen: FrozenPlan, route: EmergencyRoute) -> briefing.Facts:
    """What the call taker is told."""
    customer = frozen.customer
    numbers = (customer.callback_number, route.caller_id, customer.caller_id) if customer else (route.caller_id,)
    return briefing.Facts(
        customer=customer.name if customer else "",
        worker=facts.worker,
        kind=facts.kind,
        since=opened_at,
        callback=next((number for number in numbers if number), ""),
        address=facts.address,
        latitude=facts.latitude,
        longitude=facts.longitude,
        uncertainty_m=facts.uncertainty_m,
        located_at=facts.located_at,
    )
