"""One embedded AWS for the session, on free ports and with a state directory of its own."""

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from config import settings as config
from local import process, up
from local.deploy import outputs as outputs_of
from tests.e2e import checkout as checkouts
from tests.e2e import printed
from tests.e2e.systems import System

SUFFIX = "e2e"


def pytest_itemcollected(item: pytest.Item) -> None:
    """A worker takes whole files, and all that look at the deployed reference systems, so that these exist once."""
    reference = item.path.name.startswith("test_reference_") or item.path.name == "test_deploy_command.py"
    item.add_marker(pytest.mark.xdist_group("reference systems" if reference else item.path.name))


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
def deployments(emulator: process.Running, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the commands said that deployed both reference systems, and one more environment; by environment."""
    return printed.run_all(tmp_path_factory.mktemp("printed"))


@pytest.fixture(scope="session")
def systems(deployments: dict[str, str]) -> dict[str, System]:
    """Both reference systems, deployed side by side with the settings of their files."""
    found = {}
    for environment in printed.SYSTEMS:
        settings = printed.settings_of(environment)
        cloudformation = boto3.client("cloudformation", region_name=settings.region)
        found[environment] = System(settings, outputs_of(cloudformation, settings.stack_name))
    return found


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A newcomer's copy of the repository, with an embedded AWS of its own when one is started there."""
    copy = checkouts.make(tmp_path_factory.mktemp("newcomer"))
    yield copy
    process.stop(copy / ".local")
