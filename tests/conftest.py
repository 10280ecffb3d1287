"""What all tests share."""

import gc
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

from tests.postgres import PostgresServer

# What was imported stays: to look through it again and again for garbage takes a tenth of the time of all tests.
gc.freeze()
gc.set_threshold(50_000, 20, 50)

# A deadline would measure how busy the machine is.
settings.register_profile("earshot", deadline=None)
settings.load_profile("earshot")


@pytest.fixture(autouse=True)
def log_of_its_own() -> Iterator[None]:
    """A test that runs a command sets up the log of its process, and the next one would capture nothing."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server, started when the first test asks for it. A test that stops it starts it again."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> str:
    """An empty schema of its own for each test."""
    return postgres.new_schema()
