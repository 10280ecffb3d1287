"""What is defined changes under the feet of a process that runs: by another process, and by its file."""

import json
import os
import signal
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from config.settings import load
from voice.cli.deciding import writing
from voice.store.defining import put

from .certificates import Certificates
from .service import Service

EVA = '\n[[workers]]\nid = "eva"\nname = "Eva Maas"\nnumbers = ["+31600000002"]\n'
BROKEN = '\n[[workers]]\nid = "bo"\nname = 7\n'


def test_a_running_service_follows_the_store_and_its_file_and_outlives_a_mistake_in_it(tmp_path: Path) -> None:
    workers = [{"id": "anna", "name": "Anna Jansen", "numbers": ["+31600000001"]}]
    with Service(tmp_path, workers=workers) as service:
        settings = load(service.config)
        bas = {"id": "bas", "name": "Bas", "numbers": ["+31600000003"]}
        with writing(settings.store.url) as connection:
            put(connection, settings, "workers", bas, expected_version=0, at=datetime.now(UTC))
        service.wait_for("definitions have changed")
        assert "of Bas has begun" in service.earshot("start-session", "bas", "--for", "2h")

        _told_again(service, EVA)
        service.wait_for("definitions have changed")
        assert "of Eva Maas has begun" in service.earshot("start-session", "eva", "--for", "2h")

        good = service.config.read_text()
        _told_again(service, BROKEN)
        service.wait_for("the configuration file is not used")
        service.config.write_text(good)
        assert {session["worker"] for session in json.loads(service.earshot("sessions", "--json"))} == {"bas", "eva"}
        assert service.running


def test_a_mistake_in_the_file_keeps_a_service_that_died_from_nothing(tmp_path: Path) -> None:
    workers = [{"id": "anna", "name": "Anna Jansen", "numbers": ["+31600000001"]}]
    with Service(tmp_path, workers=workers) as service:
        good = service.config.read_text()
        service.crash()
        service.config.write_text(good + BROKEN)
        service.restart()
        service.wait_for("the configuration file is not used")
        assert "mistake" in service.health()
        assert "of Anna Jansen has begun" in service.earshot("start-session", "anna", "--for", "2h")

        service.config.write_text(good)
        _told_again(service, EVA)
        service.wait_for("definitions have changed")
        assert "of Eva Maas has begun" in service.earshot("start-session", "eva", "--for", "2h")
        assert service.health() == "ok"


def test_a_certificate_that_is_gone_keeps_nobody_from_an_answer_without_tls(
    tmp_path: Path, certificates: Certificates
) -> None:
    gone = replace(certificates, certificate=tmp_path / "gone.pem")
    with Service(tmp_path, certificates=gone) as service:
        assert service.wait_for(r"TLS is not offered as configured.*gone\.pem: No such file")
        assert service.health() == "not used of what is configured: 1 file(s), told by check-config"


def _told_again(service: Service, addition: str) -> None:
    """The file is edited, and the service told so."""
    with service.config.open("a") as config:
        config.write(addition)
    assert service.process is not None
    os.kill(service.process.pid, signal.SIGHUP)
