"""The command line beside a running service says what the store holds."""

import json
from pathlib import Path

import pytest

from .peers.sipp import Sipp
from .service import Service
from .sounds import to_alaw, tone


@pytest.mark.needs("sipp")
def test_the_command_line_tells_an_alarm_that_was_just_raised(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        Sipp(tmp_path, "alarm_rtp", service.address, user="badge", alaw=to_alaw(tone(400, 3)), talk=1).run()
        incident = service.wait_for_entry("answered", "device_hung_up")
        assert incident.id in service.earshot("incidents")
        listed = json.loads(service.earshot("incidents", "--json"))
        assert [row["id"] for row in listed] == [incident.id]
        told = json.loads(service.earshot("incident", incident.id, "--json"))
        assert [entry["kind"] for entry in told["timeline"]] == incident.kinds
        ladder = service.earshot("trace", str(incident.legs_of("device")[0]["call_id"]))
        for word in ("INVITE", "200", "ACK", "BYE"):
            assert word in ladder


@pytest.mark.needs("sipp")
def test_an_incident_is_resolved_and_reopened_from_the_command_line(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        Sipp(tmp_path, "alarm_rtp", service.address, user="badge", alaw=to_alaw(tone(400, 3)), talk=1).run()
        id = service.wait_for_entry("answered", "device_hung_up").id
        assert "noted as safe" in service.earshot("safe", id, "--proof", "she called the desk")
        assert f"incident {id}: resolved: false" in service.earshot("resolve", id, "false", "--note", "at home")
        resolved = service.wait_for_entry("worker_safe", "resolved")
        (detail,) = [json.loads(entry["detail"]) for entry in resolved.timeline if entry["kind"] == "resolved"]
        assert (detail["reason"], detail["note"]) == ("false", "at home")
        assert "open again" in service.earshot("reopen", id)
        service.wait_for_entry("reopened")
        assert id in service.earshot("incidents", "--state", "open")
        assert "the chain is whole" in service.earshot("verify", id)


def test_a_session_is_begun_extended_and_ended_from_the_command_line(tmp_path: Path) -> None:
    workers = [{"id": "anna", "name": "Anna Jansen", "numbers": ["+31600000001"]}]
    with Service(tmp_path, workers=workers) as service:
        begun = service.earshot("start-session", "anna", "--for", "2h", "--every", "30m", "--key", "visit 7")
        assert "of Anna Jansen has begun and lasts until" in begun
        assert service.earshot("start-session", "anna", "--for", "2h", "--every", "30m", "--key", "visit 7") == begun
        (listed,) = json.loads(service.earshot("sessions", "--json"))
        assert (listed["worker"], listed["origin"], listed["phase"]) == ("anna", "api", "waiting")
        assert "of Anna Jansen ends" in service.earshot("extend-session", "anna", "--by", "20m")
        assert "has ended" in service.earshot("end-session", listed["id"][:8])
        told = json.loads(service.earshot("session", "anna", "--log", "--json"))
        assert [entry["kind"] for entry in told["log"]] == ["began", "extended", "ended"]
        assert service.earshot("sessions") == "No session is open.\n"
