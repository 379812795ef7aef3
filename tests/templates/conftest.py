"""One build of each environment for the session."""

from collections.abc import Callable

import pytest

import build
from config.settings import load
from tests.changed import with_all_channels

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


@pytest.fixture(scope="session")
def with_all_functions(tmp_path_factory: pytest.TempPathFactory) -> build.Built:
    """A system that deploys every function of the catalogue, built for the deployed runtime."""
    return build.build(with_all_channels(load("dev", {})), tmp_path_factory.mktemp("all-functions"))
