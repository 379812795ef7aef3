"""One embedded AWS for the session, on free ports and with a state directory of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from config import settings as config
from local import process, up
from tests.e2e import checkout as checkouts
from tests.e2e.systems import System, deployer

SUFFIX = "e2e"


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[process.Running]:
    """The embedded AWS without any stack; this process's AWS environment points at it."""
    state_dir = tmp_path_factory.mktemp("embedded-aws")
    region = config.load(up.ENVIRONMENT, overrides={}).region
    try:
        running = process.start(region, state_dir=state_dir, port=0, mqtt_port=0)
        with pytest.MonkeyPatch.context() as patch:
            for name in process.MISLEADING:
                patch.delenv(name, raising=False)
            for name, value in (running.environ | {"ENVIRONMENT_SUFFIX": SUFFIX}).items():
                patch.setenv(name, value)
            yield running
    finally:
        process.stop(state_dir)


@pytest.fixture(scope="session")
def running(outputs: dict[str, str], emulator: process.Running) -> process.Running:
    """The embedded AWS with the environment `local` deployed, its suffix `e2e`."""
    assert outputs
    return emulator


@pytest.fixture(scope="session")
def outputs(emulator: process.Running) -> dict[str, str]:
    """Outputs of the deployed root stack."""
    settings = config.load(up.ENVIRONMENT)
    return up.deploy_system(emulator, settings, Path(emulator.state_dir) / "build", lambda _: None)


@pytest.fixture(scope="session")
def systems(emulator: process.Running, tmp_path_factory: pytest.TempPathFactory) -> dict[str, System]:
    """Both reference systems, deployed side by side with the settings of their files."""
    suffixes = {"iot-processing": "city", "manufacturing": "works"}
    deploy = deployer(emulator, tmp_path_factory.mktemp("systems"))
    return {
        environment: deploy(config.load(environment, {"ENVIRONMENT_SUFFIX": suffix}))
        for environment, suffix in suffixes.items()
    }


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A newcomer's copy of the repository, with an embedded AWS of its own when one is started there."""
    copy = checkouts.make(tmp_path_factory.mktemp("newcomer"))
    yield copy
    process.stop(copy / ".local")
