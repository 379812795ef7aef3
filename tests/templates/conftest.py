"""One build of each environment for the session."""

from collections.abc import Callable

import pytest

import build
from config.settings import load

Builds = Callable[[str], build.Built]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Builds:
    """Builds an environment for the deployed runtime, once."""
    done: dict[str, build.Built] = {}

    def get(environment: str) -> build.Built:
        if environment not in done:
            done[environment] = build.build(load(environment, {}), tmp_path_factory.mktemp(environment))
        return done[environment]

    return get
