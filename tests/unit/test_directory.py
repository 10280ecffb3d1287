"""Who is calling, by what the call proves of itself."""

import pytest

from config.models import Settings
from voice.directory import Caller, Claims, Directory
from voice.incidents.kinds import Kind
from voice.numbers import normal_number

SETTINGS = Settings.model_validate(
    {
        "sip": {"trusted_networks": ["192.0.2.0/24", "2001:db8::/32"]},
        "alarms": {"numbers": {"102": "man_down"}},
        "workers": [
            {"id": "anna", "name": "Anna", "numbers": ["+31 6 1111".replace(" ", "")]},
            {"id": "ben", "name": "Ben"},
        ],
        "devices": [
            {"id": "badge-1", "username": "badge1", "password": "x", "worker": "anna"},
            {
                "id": "badge-2",
                "username": "badge2",
                "numbers": ["+31622222"],
                "worker": "ben",
                "kind": "medical",
            },
        ],
        "operators": [{"id": "olga", "name": "Olga", "username": "olga", "password": "y"}],
        "trunks": [{"id": "kpn", "uri": "sip:198.51.100.7", "networks": ["198.51.100.0/24"]}],
    }
)
DIRECTORY = Directory(SETTINGS)


def identify(**claims: object) -> Caller:
    facts: dict[str, object] = {"source": "203.0.113.9", "from_user": "", "from_uri": ""}
    return DIRECTORY.identify(Claims(**(facts | claims)))  # type: ignore[arg-type]


def test_the_authenticated_user_wins_over_what_headers_claim() -> None:
    caller = identify(verified="badge2", asserted=("badge1",), from_user="badge1", source="192.0.2.1")
    assert caller.device is not None
    assert (caller.device.id, caller.proof) == ("badge-2", "digest")


def test_p_asserted_identity_is_believed_from_a_trusted_network_only() -> None:
    trusted = identify(asserted=("+31622222",), from_user="anonymous", source="192.0.2.1")
    stranger = identify(asserted=("+31622222",), from_user="anonymous")
    assert trusted.device is not None
    assert (trusted.device.id, trusted.proof) == ("badge-2", "asserted")
    assert stranger.device is None


def test_a_network_of_a_trunk_is_trusted() -> None:
    assert DIRECTORY.trusts("198.51.100.20")
    assert DIRECTORY.trusts("2001:db8::5")
    assert DIRECTORY.trusts("::ffff:192.0.2.1")
    assert not DIRECTORY.trusts("203.0.113.1")
    assert not DIRECTORY.trusts("no-address")


def test_a_number_is_found_however_it_is_written() -> None:
    assert normal_number("0031 6-2222 2") == normal_number("+31622222")
    caller = identify(from_user="0031622222")
    assert caller.device is not None
    assert caller.worker is not None
    assert (caller.device.id, caller.worker.id, caller.proof) == ("badge-2", "ben", "from")


def test_a_number_of_a_worker_leads_to_his_device() -> None:
    caller = identify(from_user="+3161111")
    assert caller.device is not None
    assert caller.device.id == "badge-1"


def test_an_unknown_caller_is_a_caller_all_the_same() -> None:
    caller = identify(from_user="+4477009", source="192.0.2.1")
    assert (caller.device, caller.worker, caller.proof, caller.claimed) == (None, None, "none", "+4477009")


@pytest.mark.parametrize(
    ("dialled", "user", "kind"),
    [
        ("102", "badge1", Kind.MAN_DOWN),
        ("100", "badge1", Kind.PANIC),
        ("100", "badge2", Kind.MEDICAL),
        ("100", "nobody", Kind.UNIDENTIFIED),
        ("102", "nobody", Kind.UNIDENTIFIED),
    ],
)
def test_the_dialled_number_names_the_kind_and_then_the_device_does(dialled: str, user: str, kind: Kind) -> None:
    assert DIRECTORY.kind(dialled, identify(verified=user, from_user=user)) is kind
