"""Settings: what is read, and how mistakes are told."""

import tomllib
from collections.abc import Iterable
from ipaddress import ip_network
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from config.models import Settings
from config.settings import load
from config.values import PortRange
from voice.errors import ConfigurationError
from voice.incidents.kinds import Kind

EXAMPLE = Path(__file__).parents[3] / "config" / "example.toml"


def mistakes(tmp_path: Path, text: str, **environment: str) -> list[str]:
    """What `load` says of a file with this text, without the folder in front."""
    path = tmp_path / "e.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load(path, environment)
    return str(caught.value).replace(str(tmp_path) + "/", "").split("\n")


def loaded(tmp_path: Path, text: str, **environment: str) -> Settings:
    path = tmp_path / "e.toml"
    path.write_text(text)
    return load(path, environment)


def test_without_a_file_every_key_has_its_default() -> None:
    settings = load(None)
    assert settings.sip.udp == settings.sip.tcp == (("0.0.0.0", 5060),)
    assert settings.sip.tls == ()
    assert settings.rtp.ports == PortRange(20000, 23999)
    assert settings.rtp.ports.pairs == 2000
    assert settings.api.listen == ("127.0.0.1", 8060)
    assert settings.store.url == "sqlite:///earshot-data/earshot.db"
    assert settings.devices == ()


def test_the_example_loads_and_its_sections_show_the_defaults() -> None:
    example, defaults = load(EXAMPLE), load(None)
    sections = [name for name in Settings.model_fields if not isinstance(getattr(defaults, name), tuple)]
    assert {"sip", "escalation", "messages", "log"} <= set(sections)
    for section in sections:
        assert getattr(example, section) == getattr(defaults, section), section


def _tables(model: type[BaseModel], above: tuple[str, ...] = ()) -> dict[tuple[str, ...], type[BaseModel]]:
    """Every table of the file and of its rows, by its header."""
    found: dict[tuple[str, ...], type[BaseModel]] = {}
    for name, field in model.model_fields.items():
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                found |= {(*above, name): kind} | _tables(kind, (*above, name))
    return found


TABLES = {header: model for header, model in _tables(Settings).items() if header != ("contacts", "hours")}
"""Hours are written in one line: the example shows them in a comment."""

ILLUSTRATED = {
    "devices": {"id", "username", "password", "worker"},
    "workers": {"id", "name"},
    "operators": {"id", "name", "username", "password"},
    "trunks": {"id", "uri"},
    "customers": {"id", "name"},
    "contacts": {"id", "name", "numbers"},
    "teams": {"id", "name", "members"},
    "rotas": {"id", "shifts", "overrides"},
    "rotas.shifts": {"members"},
    "rotas.overrides": {"from", "to"},
    "plans": {"id", "steps"},
    "plans.steps": {"ring"},
    "emergency_routes": {"id", "name", "number"},
    "webhooks": {"id", "url", "secret"},
}
"""Keys of rows that the example gives a value to; all others show their default."""


def test_headers_are_found_within_rows_too() -> None:
    assert {("sip",), ("plans", "steps"), ("rotas", "overrides")} <= set(TABLES)


@pytest.mark.parametrize("header", TABLES, ids=".".join)
def test_the_example_documents_every_key(header: tuple[str, ...]) -> None:
    row = _first(tomllib.loads(EXAMPLE.read_text()), header)
    assert set(row) == {field.alias or name for name, field in TABLES[header].model_fields.items()}


@pytest.mark.parametrize("header", ILLUSTRATED)
def test_the_optional_keys_of_the_rows_in_the_example_show_their_defaults(header: str) -> None:
    row = _first(load(EXAMPLE), header.split("."))
    for name, field in type(row).model_fields.items():
        if (field.alias or name) not in ILLUSTRATED[header]:
            assert getattr(row, name) == field.get_default(call_default_factory=True), name


def _first(content: Any, header: Iterable[str]) -> Any:
    for name in header:
        content = content[name] if isinstance(content, dict) else getattr(content, name)
        content = content[0] if isinstance(content, list | tuple) else content
    return content


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ('"0.0.0.0:5060"', (("0.0.0.0", 5060),)),
        ('"[::]:5070"', (("::", 5070),)),
        ('["127.0.0.1:1", "[::1]:2"]', (("127.0.0.1", 1), ("::1", 2))),
        ('""', ()),
        ("[]", ()),
    ],
)
def test_addresses_are_one_or_a_list_or_none(tmp_path: Path, written: str, read: object) -> None:
    assert loaded(tmp_path, f"[sip]\nudp = {written}").sip.udp == read


@pytest.mark.parametrize("written", ["5060", '"5060"', '"host:5060"', '"::1:5060"', '"[1.2.3.4]:5"', '"1.2.3.4:70000"'])
def test_what_is_no_address_is_refused_with_what_is_allowed(tmp_path: Path, written: str) -> None:
    (line,) = mistakes(tmp_path, f"[sip]\nudp = {written}")
    assert line.startswith("e.toml:2: sip.udp: ")
    assert "allowed" in line


@pytest.mark.parametrize("written", ['"20001-20002"', '"20000-20000"', '"3-1"', '"80-99"', '"x"', "20000"])
def test_ports_are_a_range_with_at_least_one_pair(tmp_path: Path, written: str) -> None:
    (line,) = mistakes(tmp_path, f"[rtp]\nports = {written}")
    assert line.startswith("e.toml:2: rtp.ports: ")
    assert "allowed" in line


def test_a_port_without_its_partner_is_left_out(tmp_path: Path) -> None:
    assert loaded(tmp_path, '[rtp]\nports = "20001-20010"').rtp.ports == PortRange(20002, 20009)


def test_networks_and_kinds_are_typed(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path, '[sip]\ntrusted_networks = ["10.0.0.0/8", "::1"]\n[alarms]\nnumbers = { "101" = "gas" }'
    )
    assert settings.sip.trusted_networks == (ip_network("10.0.0.0/8"), ip_network("::1"))
    assert settings.alarms.numbers == {"101": Kind.GAS}


def test_an_unknown_key_is_named_with_the_one_that_was_meant(tmp_path: Path) -> None:
    (line,) = mistakes(tmp_path, '[rtp]\n\nadress = "::"')
    assert line.startswith('e.toml:3: rtp.adress: is not known; did you mean "address"?')
    assert "public_address, ports" in line


def test_an_unknown_table_is_named_too(tmp_path: Path) -> None:
    assert mistakes(tmp_path, "[spi]\nudp = 1")[0].startswith('e.toml:1: spi: is not known; did you mean "sip"?')


@pytest.mark.parametrize("written", ['trace = "yes"', "trace = 1", 'session_expires = "90"', "session_expires = 1.5"])
def test_text_is_no_number_and_numbers_are_no_booleans(tmp_path: Path, written: str) -> None:
    (line,) = mistakes(tmp_path, f"[sip]\n{written}")
    assert line.startswith("e.toml:2: sip.")


def test_every_mistake_is_told_in_the_order_of_the_file(tmp_path: Path) -> None:
    lines = mistakes(tmp_path, '[sip]\ntrace = 1\n[alarms]\nring = "x"\n[log]\nlevel = "loud"\n[api]\nlisten = "x"')
    assert [line.split(":")[1] for line in lines] == ["2", "4", "6", "8"]


def test_a_mistake_in_the_second_device_is_told_with_its_line(tmp_path: Path) -> None:
    text = """
[[devices]]
id = "a"
username = "a"

[[devices]]
id = "b"
username = "b"
discreet = "loud"
"""
    (line,) = mistakes(tmp_path, text)
    assert line == ("e.toml:9: devices[2].discreet: 'loud' is not known; allowed: 'silence', 'keepalive' or 'recvonly'")


def test_a_missing_key_is_told_at_its_table(tmp_path: Path) -> None:
    assert mistakes(tmp_path, '\n[[workers]]\nid = "a"') == ["e.toml:2: workers[1].name: is missing; it has no default"]


DEVICE = '[[devices]]\nid = "{0}"\nusername = "{0}"\n'
OPERATOR = '[[operators]]\nid = "{0}"\nname = "{0}"\nusername = "{0}"\npassword = "x"\n'


def test_an_id_that_stands_twice_is_refused(tmp_path: Path) -> None:
    text = '[[workers]]\nid = "a"\nname = "A"\n[[workers]]\nid = "a"\nname = "B"'
    assert mistakes(tmp_path, text) == ["e.toml:5: workers[2].id: 'a' is taken already by workers[1]"]


def test_devices_and_operators_share_their_user_names(tmp_path: Path) -> None:
    text = DEVICE.format("x") + OPERATOR.format("x")
    assert mistakes(tmp_path, text) == ["e.toml:7: operators[1].username: 'x' is taken already by devices[1]"]


def test_a_number_identifies_one_device_only(tmp_path: Path) -> None:
    text = DEVICE.format("a") + 'numbers = ["+31"]\n' + DEVICE.format("b") + 'numbers = ["7", "+31"]'
    assert mistakes(tmp_path, text) == ["e.toml:8: devices[2].numbers: '+31' is taken already by devices[1]"]


def test_a_device_names_a_worker_and_a_trunk_that_exist(tmp_path: Path) -> None:
    text = DEVICE.format("a") + 'worker = "anna"\ntrunk = "t"\n[[workers]]\nid = "ann"\nname = "Ann"'
    assert mistakes(tmp_path, text) == [
        "e.toml:4: devices[1].worker: no worker has the id 'anna'; allowed: ann",
        "e.toml:5: devices[1].trunk: no trunk has the id 't'; there are no [[trunks]]",
    ]


def test_a_device_that_could_never_be_recognised_is_refused(tmp_path: Path) -> None:
    assert mistakes(tmp_path, '[[devices]]\nid = "a"')[0].startswith("e.toml:2: devices[1].id: needs a username or")


def test_an_operator_that_could_never_be_rung_is_refused(tmp_path: Path) -> None:
    (line,) = mistakes(tmp_path, '[[operators]]\nid = "a"\nname = "A"')
    assert line.startswith("e.toml:2: operators[1].id: needs a username")


def test_tls_needs_a_certificate(tmp_path: Path) -> None:
    (line,) = mistakes(tmp_path, '[sip]\nrealm = "x"\ntls = "0.0.0.0:5061"')
    assert line.startswith("e.toml:3: sip.tls: tls needs certificate and private_key")


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path,
        '[sip]\nudp = "0.0.0.0:5060"\nrealm = "x"',
        EARSHOT_SIP__UDP="127.0.0.1:5070",
        EARSHOT_SIP__REALM="42",
        EARSHOT_SIP__TRACE="false",
        EARSHOT_API__LISTEN="",
        EARSHOT_LOG__JSON="true",
        EARSHOT_HOME="/not/ours",
    )
    assert settings.sip.udp == (("127.0.0.1", 5070),)
    assert settings.sip.realm == "42"
    assert not settings.sip.trace
    assert settings.api.listen is None
    assert settings.log.json_lines


def test_a_mistake_in_the_environment_names_the_variable(tmp_path: Path) -> None:
    (line,) = mistakes(tmp_path, "", EARSHOT_RTP__PORTS="x")
    assert line.startswith("EARSHOT_RTP__PORTS: rtp.ports: 'x' is no range of ports")


def test_a_file_that_is_no_toml_is_told_with_its_line(tmp_path: Path) -> None:
    assert mistakes(tmp_path, "[sip]\nudp = \n")[0].startswith("e.toml:2: ")


def test_a_file_that_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.toml: cannot be read: No such file or directory"):
        load(tmp_path / "none.toml")


def test_passwords_do_not_show_when_settings_are_printed(tmp_path: Path) -> None:
    settings = loaded(tmp_path, DEVICE.format("a") + 'password = "s3cret"')
    assert settings.devices[0].password == "s3cret"
    assert "s3cret" not in repr(settings)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load(None).sip.realm = "other"
