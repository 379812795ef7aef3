"""Build one environment: its templates, and the zips of its functions and layers, ready to deploy with CloudFormation.

`python build.py <environment>` writes `build/<environment>/`. With `--bucket` the artifacts are put into S3 and the
command that deploys them is printed; without it, `aws cloudformation package` takes them from the folder.
"""

import argparse
import hashlib
import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from config import settings as config
from config.settings import Settings, SettingsError
from templates import root
from templates.shared.catalogue import deployed
from templates.shared.layers import LAMBDAS, layer_of, layers_of
from templates.shared.limits import BuildError, check_function, check_template
from templates.shared.packages import Target, write_function, write_layer

CACHE = Path(__file__).parent / "build" / ".cache"
FUNCTION_SETTINGS = {
    "system",
    "suffix",
    "decoding",
    "metrics",
    "hot_table",
    "lake",
    "compaction",
    "optimization",
    "reprocessing",
}
"""What functions read from `settings.json` in their zip; names of resources reach them by their environment."""

ZIPPED = {"AWS::Lambda::Function": "Code", "AWS::Lambda::LayerVersion": "Content"}
"""The property that names a zip."""


@dataclass(frozen=True)
class Built:
    """What a build made, and how to deploy it: first `package_command`, unless everything is uploaded already."""

    settings: Settings
    directory: Path
    root_template: Path
    manifest: dict[str, Any]
    package_command: str | None
    deploy_command: str


@dataclass(frozen=True)
class Uploads:
    """A bucket that receives artifacts under keys that hold their hash: CloudFormation sees a change by the key."""

    s3: Any
    bucket: str
    region: str
    prefix: str

    @classmethod
    def to(cls, bucket: str, settings: Settings, s3: Any) -> "Uploads":
        """Check that the bucket can be used. Lambda takes code only from a bucket of its own region."""
        s3 = s3 or boto3.client("s3", region_name=settings.region)
        try:
            region = s3.head_bucket(Bucket=bucket).get("BucketRegion", settings.region)
        except (BotoCoreError, ClientError) as error:
            raise BuildError(
                f"Bucket {bucket} cannot be used: {error}. Create it, or check your credentials."
            ) from error
        if region != settings.region:
            raise BuildError(f"Bucket {bucket} is in {region}; Lambda needs one in {settings.region}.")
        return cls(s3, bucket, settings.region, settings.stack_name)

    def put(self, path: Path) -> str:
        """Upload the file unless it is there, and return its key."""
        content = path.read_bytes()
        key = f"{self.prefix}/{path.stem}-{_sha256(content)[:20]}{path.suffix}"
        try:
            if not self.s3.list_objects_v2(Bucket=self.bucket, Prefix=key, MaxKeys=1).get("KeyCount"):
                self.s3.put_object(Bucket=self.bucket, Key=key, Body=content)
        except (BotoCoreError, ClientError) as error:
            raise BuildError(f"{path} cannot be uploaded to s3://{self.bucket}/{key}: {error}") from error
        return key

    def url(self, key: str) -> str:
        """The object's address in the form that CloudFormation reads templates from."""
        domain = "amazonaws.com.cn" if self.region.startswith("cn-") else "amazonaws.com"
        return f"https://s3.{self.region}.{domain}/{self.bucket}/{key}"


def build(settings: Settings, out: Path, target: Target = "lambda", bucket: str | None = None, s3: Any = None) -> Built:
    """Build the system of these settings into the folder `out`.

    With `bucket`, artifacts go there (through the client `s3`, by default one of the standard AWS environment) and the
    templates point at them. Raises BuildError with a sentence for people.
    """
    uploads = Uploads.to(bucket, settings, s3) if bucket else None
    templates = {name: template.to_dict() for name, template in root.stacks(settings).items()}
    out.mkdir(parents=True, exist_ok=True)
    artifacts = _write_zips(settings, target, out)
    for name, body in templates.items():  # the root comes last: it points at the others
        if uploads:
            _point_at_uploads(body, uploads, out)
        artifacts[f"{name}.json"] = _write_template(name, body, out)
    manifest = {
        "artifacts": artifacts,
        "region": settings.region,
        "settings_sha256": _sha256(_json(settings.model_dump(mode="json"))),
        "stack_name": settings.stack_name,
        "target": target,
    }
    (out / "manifest.json").write_bytes(_json(manifest))
    packaged = out / "packaged.json"
    return Built(
        settings=settings,
        directory=out,
        root_template=out / "root.json",
        manifest=manifest,
        package_command=None if bucket else _package_command(settings, out / "root.json", packaged),
        deploy_command=_deploy_command(settings, out / "root.json" if bucket else packaged),
    )


def _write_zips(settings: Settings, target: Target, out: Path) -> dict[str, dict[str, Any]]:
    """The functions of the system and the layers that they need, by file."""
    functions = deployed(settings)
    told = _json(settings.model_dump(mode="json", include=FUNCTION_SETTINGS))
    unzipped = {layer.file: write_layer(layer.lock, target, CACHE, out / layer.file) for layer in layers_of(functions)}
    for name in functions:
        unzipped[f"{name}.zip"] = write_function(LAMBDAS, name, told, out / f"{name}.zip")
        check_function(name, unzipped[f"{name}.zip"] + unzipped[layer_of(name).file])
    return {file: {**_measure((out / file).read_bytes()), "unzipped_bytes": size} for file, size in unzipped.items()}


def _write_template(name: str, body: Mapping[str, Any], out: Path) -> dict[str, Any]:
    text = _json(body)
    # the root is sent with the request, every other template is read from S3
    check_template(name, body, len(text), inline=name == "root")
    (out / f"{name}.json").write_bytes(text)
    return _measure(text)


def _point_at_uploads(body: dict[str, Any], uploads: Uploads, out: Path) -> None:
    """Upload the files that the template names, and name the objects instead."""
    for resource in body["Resources"].values():
        properties = resource.get("Properties", {})
        if field := ZIPPED.get(resource["Type"]):
            properties[field] = {"S3Bucket": uploads.bucket, "S3Key": uploads.put(out / properties[field])}
        elif resource["Type"] == "AWS::CloudFormation::Stack":
            properties["TemplateURL"] = uploads.url(uploads.put(out / properties["TemplateURL"]))


def _package_command(settings: Settings, template: Path, packaged: Path) -> str:
    command = ["aws", "cloudformation", "package", "--template-file", str(template), "--s3-bucket", "BUCKET"]
    return shlex.join([*command, "--output-template-file", str(packaged), "--use-json", "--region", settings.region])


def _deploy_command(settings: Settings, template: Path) -> str:
    command = ["aws", "cloudformation", "deploy", "--template-file", str(template)]
    command += ["--stack-name", settings.stack_name, "--capabilities", "CAPABILITY_NAMED_IAM"]
    command += ["--tags", *(f"{key}={value}" for key, value in stack_tags(settings).items())]
    return shlex.join([*command, "--region", settings.region, "--no-fail-on-empty-changeset"])


def stack_tags(settings: Settings) -> dict[str, str]:
    """Tags of the root stack; CloudFormation hands them on to everything that takes tags."""
    tags = settings.tags
    return {
        "CommitAuthor": tags.commit_author,
        "CommitSha": tags.commit_sha,
        "Environment": settings.suffix,
        "ManagedBy": "sensorkeep",
        "Owner": tags.owner,
        "Project": tags.project,
        "Repository": tags.repository,
    }


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _measure(content: bytes) -> dict[str, Any]:
    return {"sha256": _sha256(content), "size_bytes": len(content)}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="build.py", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("environment", help=f"one of: {', '.join(config.environments())}")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder to write to (default: build/<environment>)")
    parser.add_argument(
        "--target",
        choices=get_args(Target),
        default="lambda",
        help="whose packages the layers hold: the deployed\n"
        "runtime's, or this machine's for the embedded AWS (default: lambda)",
    )
    parser.add_argument("--bucket", metavar="NAME", help="S3 bucket to put the artifacts into")
    given = parser.parse_args(arguments)
    try:
        settings = config.load(given.environment)
        built = build(settings, given.out or Path("build", given.environment), given.target, given.bucket)
    except (BuildError, SettingsError, OSError) as error:
        print(f"build.py: {error}", file=sys.stderr)
        return 1
    _report(built)
    return 0


def _report(built: Built) -> None:
    for name, artifact in sorted(built.manifest["artifacts"].items()):
        unzipped = f" ({artifact['unzipped_bytes'] / 1e6:.1f} MB unzipped)" if "unzipped_bytes" in artifact else ""
        print(f"{artifact['size_bytes']:>12,} bytes  {built.directory / name}{unzipped}")
    print("\nTo deploy:\n")
    if built.package_command:
        print(built.package_command)
    print(built.deploy_command)


if __name__ == "__main__":
    sys.exit(main())
