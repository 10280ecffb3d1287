"""Personal data appears in no log line unless somebody switched it on."""

import io
import json

import pytest
import structlog

from voice.logs import set_up_logging


@pytest.fixture(autouse=True)
def _restore():
    yield
    structlog.reset_defaults()


def logged(*, personal_data: bool) -> dict[str, object]:
    out = io.StringIO()
    set_up_logging(level="info", json=True, personal_data=personal_data, stream=out)
    structlog.get_logger().info("alarm", incident="a1", pd_caller="+31612345678")
    return json.loads(out.getvalue())


def test_marked_fields_are_left_out_by_default() -> None:
    line = logged(personal_data=False)
    assert line["incident"] == "a1"
    assert "+31612345678" not in json.dumps(line)


def test_marked_fields_can_be_switched_on() -> None:
    assert logged(personal_data=True)["pd_caller"] == "+31612345678"


def test_lines_below_the_level_are_not_written() -> None:
    out = io.StringIO()
    set_up_logging(level="warning", json=True, personal_data=False, stream=out)
    structlog.get_logger().info("nothing of interest")
    assert out.getvalue() == ""
