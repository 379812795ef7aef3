"""The commands that `python build.py` prints, typed as they are for both reference systems and one more environment."""

import os
import subprocess
import sys
from pathlib import Path

import boto3

from config import settings as config
from config.settings import Settings
from local import deploy

REPOSITORY = Path(__file__).parents[2]
SYSTEMS = ("iot-processing", "manufacturing")
PACKAGED = "dev"
"""Built without a bucket: `aws cloudformation package` takes the files from where they are."""
SUFFIXES = {"iot-processing": "city", "manufacturing": "works", PACKAGED: "typed"}


def settings_of(environment: str) -> Settings:
    """The settings that the commands deploy: the file's, with a suffix of their own."""
    return config.load(environment, {"ENVIRONMENT_SUFFIX": SUFFIXES[environment]})


class Deployments:
    """Every environment, built and deployed side by side: the AWS CLI looks only every 30 s."""

    def __init__(self, folder: Path) -> None:
        self._said: dict[str, str] = {}
        self._running = {environment: _begin(environment, folder / environment) for environment in SUFFIXES}

    def said(self, environment: str) -> str:
        """What the commands said, once they have ended."""
        if environment not in self._said:
            self._said[environment] = self._running[environment].communicate()[0]
        return self._said[environment]

    def outputs(self, environment: str) -> dict[str, str]:
        """Outputs of the stack that the commands deployed."""
        assert "Successfully created/updated stack" in self.said(environment), self.said(environment)
        settings = settings_of(environment)
        return deploy.outputs(boto3.client("cloudformation", region_name=settings.region), settings.stack_name)


def _begin(environment: str, out: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        ["sh", "-ec", _printed_commands(environment, out)],
        cwd=REPOSITORY,
        env=environ(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def environ(environment: str) -> dict[str, str]:
    """This process's AWS environment, in the system's own region, with the environment's own tools found first."""
    settings = settings_of(environment)
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "AWS_REGION": settings.region,
        "AWS_DEFAULT_REGION": settings.region,
        "ENVIRONMENT_SUFFIX": settings.suffix,
    }


def _printed_commands(environment: str, out: Path) -> str:
    """Build as `python build.py` does, with a bucket of the system's region or, for PACKAGED, without; what it says
    to type."""
    region = settings_of(environment).region
    bucket = f"artifacts-{environment}"
    place = {"LocationConstraint": region}
    boto3.client("s3", region_name=region).create_bucket(Bucket=bucket, CreateBucketConfiguration=place)
    build = [sys.executable, "build.py", environment, "--out", str(out), "--target", "host"]
    build += [] if environment == PACKAGED else ["--bucket", bucket]
    said = subprocess.run(
        build, cwd=REPOSITORY, env=environ(environment), capture_output=True, text=True, check=True
    ).stdout
    return said.split("To deploy:")[1].replace("--s3-bucket BUCKET", f"--s3-bucket {bucket}")
