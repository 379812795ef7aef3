"""The record of the emulator that uses a state directory, and whether its process still lives."""

import dataclasses
import json
import os
import subprocess
from pathlib import Path

STATE_DIR = Path(__file__).parents[1] / ".local"
NOT_RUNNING = "The embedded AWS is not running: make up (python -m local up --detach) starts it."
HOST = "127.0.0.1"
ACCESS_KEY = "test"  # MiniStack's root key: IAM is enforced for every other caller
SECRET_KEY = "test"  # noqa: S105 - public: the emulator listens on loopback alone
MISLEADING = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN")
"""Variables that must not be set beside `Running.environ`: they belong to other credentials."""


@dataclasses.dataclass(frozen=True)
class Running:
    """An emulator that runs, and how to talk to it."""

    pid: int
    started: str
    """Start time of the process, so that a recycled process id is not taken for ours."""
    port: int
    mqtt_port: int
    region: str
    state_dir: str
    keep: bool

    def in_region(self, region: str | None) -> "Running":
        """The same emulator, looked at in another region; in this one when it is None."""
        return dataclasses.replace(self, region=region or self.region)

    @property
    def endpoint(self) -> str:
        """URL of the AWS gateway."""
        return f"http://{HOST}:{self.port}"

    @property
    def mqtt_host(self) -> str:
        """Host of the MQTT broker (mutual TLS on `mqtt_port`)."""
        return HOST

    @property
    def environ(self) -> dict[str, str]:
        """The environment variables that make any AWS client talk to this emulator."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "no_proxy": _no_proxy(),
        }


def shield() -> None:
    """Keep what the caller's environment says about another AWS, or a proxy before it, out of this process."""
    for name in MISLEADING:
        os.environ.pop(name, None)
    os.environ["no_proxy"] = _no_proxy()


def _no_proxy() -> str:
    """Hosts to reach without a proxy: this machine, and those that the environment names; lower case counts more."""
    named = os.environ.get("no_proxy") or os.environ.get("NO_PROXY", "")
    hosts = [host for host in named.split(",") if host]
    return ",".join(hosts if HOST in hosts else [*hosts, HOST])


def running(state_dir: Path = STATE_DIR) -> Running | None:
    """The emulator that uses `state_dir`, or None."""
    found = read(state_dir)
    return found if found and started(found.pid) == found.started else None


def started(pid: int) -> str | None:
    """When the live process `pid` was started, in the system's own notation; None when there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return None
        listed = subprocess.run(
            ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        fields = listed.stdout.split()
        return None if not fields or fields[0].startswith("Z") else " ".join(fields[1:])
    except ProcessLookupError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def write(state: Running) -> None:
    """Record the running emulator in its state directory (the launcher calls this)."""
    path = Path(state.state_dir) / "state.json"
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(dataclasses.asdict(state), indent=2, sort_keys=True) + "\n", encoding="utf-8")
    draft.replace(path)


def forget(state_dir: Path) -> None:
    """Remove the record of an emulator that has ended."""
    (state_dir / "state.json").unlink(missing_ok=True)


def read(state_dir: Path) -> Running | None:
    """The last record of `state_dir`, whether its process lives or not."""
    try:
        return Running(**json.loads((state_dir / "state.json").read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):  # absent, cut short, or written by another version
        return None
