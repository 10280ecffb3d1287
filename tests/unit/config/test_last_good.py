"""A mistake in the configuration file, and what it said before it was made."""

from pathlib import Path

import pytest

from config.last_good import ConfigurationFile
from voice.errors import ConfigurationError

GOOD = '[sip]\nrealm = "before"\npublic_address = "192.0.2.1"\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "earshot.toml"
    path.write_text(GOOD)
    return path


def _kept(path: Path) -> None:
    file = ConfigurationFile(path, {})
    file.load()
    assert file.keep() is None


def test_what_was_in_use_stands_in_for_a_file_that_cannot_be_used(path: Path) -> None:
    _kept(path)
    file = ConfigurationFile(path, {"EARSHOT_SIP__USER_AGENT": "ours"})
    for broken in ("[sip]\nrealm = 7\n", "[sip\n", None):
        if broken is None:
            path.unlink()
        else:
            path.write_text(broken)
        with pytest.raises(ConfigurationError):
            file.load()
        last_good = file.load_last_good()
        assert last_good is not None
        assert (last_good[0].sip.realm, last_good[0].sip.user_agent) == ("before", "ours")


def test_nothing_stands_in_for_a_file_that_was_never_in_use(path: Path) -> None:
    ConfigurationFile(path, {}).load()
    assert ConfigurationFile(path, {}).load_last_good() is None
    assert ConfigurationFile(None, {}).load_last_good() is None


def test_a_copy_that_is_no_use_either_stands_in_for_nothing(path: Path) -> None:
    _kept(path)
    assert ConfigurationFile(path, {"EARSHOT_SIP__REALM": ""}).load_last_good() is None


def test_only_what_was_read_is_kept_though_the_file_is_another_by_now(path: Path) -> None:
    file = ConfigurationFile(path, {})
    file.load()
    path.write_text("[sip\n")
    assert file.keep() is None
    assert file.copy is not None
    assert file.copy.read_text() == GOOD


def test_the_copy_is_for_its_owner_alone_and_replaced_whole(path: Path) -> None:
    _kept(path)
    path.write_text('[sip]\nrealm = "after"\n')
    _kept(path)
    (copy,) = set(path.parent.iterdir()) - {path}
    assert copy.name == "earshot.toml.last-good"
    assert copy.stat().st_mode & 0o777 == 0o600
    assert copy.read_text() == path.read_text()


def test_what_cannot_be_kept_is_told(path: Path) -> None:
    copy = path.with_name("earshot.toml.last-good")
    (copy / "in the way").mkdir(parents=True)
    file = ConfigurationFile(path, {})
    file.load()
    assert (file.keep() or "").startswith(f"{copy}: ")
    assert [found.name for found in path.parent.iterdir() if found.is_file()] == ["earshot.toml"]


def test_defaults_are_kept_nowhere() -> None:
    file = ConfigurationFile(None, {})
    file.load()
    assert file.keep() is None
