"""One embedded AWS for the session, on free ports and with a state directory of its own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from config import settings as config
from local import process, up
from tests.e2e import checkout as checkouts
from tests.e2e.aws_cli import loaded
from tests.e2e.printed import SYSTEMS, Deployments, settings_of
from tests.e2e.systems import System

SUFFIX = "e2e"
REFERENCE = (
    "test_reference_traffic",
    "test_deploy_command",
    "test_reference_systems",
    "test_reference_operation",
    "test_tags",
)
"""One worker takes these, in this order: fleets send to systems of their own while the AWS CLI deploys the others."""
TOGETHER = {"reference": REFERENCE, "reprocessing": ("test_reprocess", "test_reprocess_policy")}
"""Files that one worker takes, those of the reprocessing since each of its functions takes seconds to load."""
LONG = (
    "test_least_privilege",
    *REFERENCE,
    "test_demo",
    "test_reprocess_recalibration",
    "test_stack_life",
    "test_reprocess",
    "test_reprocess_policy",
    "test_monitoring",
    "test_documentation",
    "test_process",
)
"""What takes longest comes first, or one worker is left alone with it in the end."""


class Sharing(LoadScopeScheduling):
    """Shares files out to the workers, those of TOGETHER as one."""

    def _split_scope(self, nodeid: str) -> str:
        name = Path(nodeid.partition("::")[0]).stem
        return next((scope for scope, names in TOGETHER.items() if name in names), name)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Sharing:
    return Sharing(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In the order of LONG, then all others; xdist keeps it with `--no-loadscope-reorder`."""

    def place(item: pytest.Item) -> int:
        return LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG)

    items.sort(key=place)


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
def deployments(emulator: process.Running, tmp_path_factory: pytest.TempPathFactory) -> Deployments:
    """Both reference systems and one more environment, being deployed with the commands that a build prints."""
    return Deployments(tmp_path_factory.mktemp("printed"))


@pytest.fixture(scope="session")
def systems(deployments: Deployments) -> dict[str, System]:
    """Both reference systems, deployed side by side with the settings of their files."""
    return {environment: System(settings_of(environment), deployments.outputs(environment)) for environment in SYSTEMS}


@pytest.fixture(scope="session")
def aws_cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder whose `aws` is the AWS CLI without the time that loading it takes."""
    with loaded(tmp_path_factory.mktemp("cli")) as folder:
        yield folder


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A newcomer's copy of the repository, with an embedded AWS of its own when one is started there."""
    copy = checkouts.make(tmp_path_factory.mktemp("newcomer"))
    yield copy
    process.stop(copy / ".local")
