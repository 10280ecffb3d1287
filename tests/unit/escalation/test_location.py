"""Where help is needed, as documents that emergency services read and as facts that are spoken."""

from datetime import UTC, datetime
from xml.etree import ElementTree

import pytest

from config.plans import Customer, EmergencyRoute, FrozenPlan, Plan, Step
from voice.escalation.location import PIDF, briefing_facts, conveyed, pidf_lo
from voice.escalation.state import Facts

SPACES = {
    "p": "urn:ietf:params:xml:ns:pidf",
    "dm": "urn:ietf:params:xml:ns:pidf:data-model",
    "gp": "urn:ietf:params:xml:ns:pidf:geopriv10",
    "gml": "http://www.opengis.net/gml",
    "gs": "http://www.opengis.net/pidflo/1.0",
    "ca": "urn:ietf:params:xml:ns:pidf:geopriv10:civicAddr",
}
TAKEN = datetime(2026, 3, 1, 13, 59, 30, tzinfo=UTC)
EVERYTHING = Facts(
    kind="panic",
    priority=1,
    worker="Anna",
    device="badge-7",
    address='Dam 1 <achter>, "Amsterdam" & co',
    latitude=52.373058,
    longitude=-4.5,
    uncertainty_m=29.6,
    located_at=TAKEN,
)


def document(facts: Facts) -> ElementTree.Element:
    made = pidf_lo(facts, incident="1k3x9a0q", domain="earshot", country="NL")
    assert made is not None
    return ElementTree.fromstring(made)


def text(facts: Facts, path: str) -> str | None:
    return document(facts).findtext(path, namespaces=SPACES)


def test_a_position_is_a_circle_with_its_uncertainty_in_metres() -> None:
    """RFC 5491 section 5.2.3."""
    circle = document(EVERYTHING).find(".//gs:Circle", SPACES)
    assert circle is not None
    assert circle.get("srsName") == "urn:ogc:def:crs:EPSG::4326"
    assert circle.findtext("gml:pos", namespaces=SPACES) == "52.373058 -4.500000"
    radius = circle.find("gs:radius", SPACES)
    assert radius is not None
    assert (radius.text, radius.get("uom")) == ("30", "urn:ogc:def:uom:EPSG::9001")


def test_a_position_has_the_time_at_which_it_was_taken() -> None:
    assert text(EVERYTHING, ".//dm:timestamp") == "2026-03-01T13:59:30Z"
    assert text(EVERYTHING, ".//gp:method") == "Device-Based"


def test_the_address_stands_beside_it_in_words_as_it_was_written() -> None:
    assert text(EVERYTHING, ".//dm:note") == EVERYTHING.address


def test_a_document_names_one_device_and_the_incident() -> None:
    """RFC 5491 section 3: one location of one target."""
    root = document(EVERYTHING)
    assert root.get("entity") == "pres:1k3x9a0q@earshot"
    assert len(root.findall("dm:device", SPACES)) == 1
    assert text(EVERYTHING, ".//dm:deviceID") == "sip:badge-7@earshot"
    assert len(root.findall(".//gp:location-info", SPACES)) == 1
    assert root.find(".//gp:usage-rules", SPACES) is not None


def test_what_somebody_has_configured_was_measured_by_nobody() -> None:
    fixed = Facts(kind="gas", priority=1, latitude=52.0, longitude=4.0)
    assert text(fixed, ".//gp:method") == "Manual"
    assert document(fixed).find(".//dm:timestamp", SPACES) is None


def test_a_position_of_unknown_accuracy_is_a_point() -> None:
    point = document(Facts(kind="gas", priority=1, latitude=0.0, longitude=0.0)).find(".//gml:Point", SPACES)
    assert point is not None
    assert point.findtext("gml:pos", namespaces=SPACES) == "0.000000 0.000000"


def test_an_address_alone_is_a_location_too() -> None:
    """RFC 5139."""
    facts = Facts(kind="gas", priority=1, address="Dam 1, Amsterdam")
    assert text(facts, ".//ca:civicAddress/ca:country") == "NL"
    assert text(facts, ".//ca:civicAddress/ca:LOC") == "Dam 1, Amsterdam"


def test_where_nothing_is_known_nothing_is_claimed() -> None:
    assert pidf_lo(Facts(kind="gas", priority=1), incident="1", domain="earshot", country="NL") is None
    half = Facts(kind="gas", priority=1, latitude=52.0)
    assert pidf_lo(half, incident="1", domain="earshot", country="NL") is None


def test_the_header_names_the_part_of_the_body() -> None:
    """RFC 6442 section 4.1: the cid URL of Geolocation is the Content-ID of the part."""
    headers, part = conveyed(b"<presence/>", incident="1k3x9a0q", domain="earshot")
    assert dict(headers) == {"Geolocation": f"<cid:{part.content_id}>", "Geolocation-Routing": "yes"}
    assert part.content_type == PIDF
    assert part.disposition.endswith("handling=optional"), "who cannot read it takes the call all the same"


ROUTE = EmergencyRoute(id="police", name="Police", number="112")


@pytest.mark.parametrize(
    ("customer", "route", "callback"),
    [
        ({"callback_number": "+31201", "caller_id": "+31202"}, {"caller_id": "+31203"}, "+31201"),
        ({"caller_id": "+31202"}, {"caller_id": "+31203"}, "+31203"),
        ({"caller_id": "+31202"}, {}, "+31202"),
        ({}, {}, ""),
        (None, {"caller_id": "+31203"}, "+31203"),
    ],
)
def test_the_control_room_is_told_whom_to_call_back(
    customer: dict[str, str] | None, route: dict[str, str], callback: str
) -> None:
    frozen = FrozenPlan(
        plan=Plan(id="plan", steps=(Step(ring=("operators",)),)),
        customer=None if customer is None else Customer.model_validate({"id": "zorg", "name": "Zorg"} | customer),
    )
    told = briefing_facts(EVERYTHING, TAKEN, frozen, ROUTE.model_copy(update=route))
    assert told.callback == callback
    assert told.customer == ("" if customer is None else "Zorg")
    assert (told.worker, told.kind, told.since, told.address) == ("Anna", "panic", TAKEN, EVERYTHING.address)
    assert (told.latitude, told.longitude, told.uncertainty_m, told.located_at) == (52.373058, -4.5, 29.6, TAKEN)
