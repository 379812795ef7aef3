"""The build as a whole: what it writes, what it uploads, what it says, and what it refuses."""

import copy
import hashlib
import json
import shlex
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, NoCredentialsError

import build
from config.settings import OVERRIDES, environments, load
from templates.shared.layers import layer_of
from templates.shared.limits import BuildError, check_bucket_name, check_function, check_layer_name, check_template
from tests.changed import changed
from tests.templates.walking import all_stacks

TAGS = {"CommitAuthor", "CommitSha", "Environment", "ManagedBy", "Owner", "Project", "Repository"}


class Bucket:
    """An S3 client with one bucket in memory."""

    def __init__(self, region: str, name: str = "artifacts") -> None:
        self.region, self.name = region, name
        self.objects: dict[str, bytes] = {}
        self.puts = 0

    def head_bucket(self, Bucket: str) -> dict:  # noqa: N803 - boto3's names
        if Bucket != self.name:
            raise ClientError({"Error": {"Code": "404", "Message": "Not Found"}}, "HeadBucket")
        return {"BucketRegion": self.region}

    def list_objects_v2(self, Bucket: str, Prefix: str, MaxKeys: int) -> dict:  # noqa: N803
        return {"KeyCount": sum(key.startswith(Prefix) for key in self.objects)}

    def put_object(self, Bucket: str, Key: str, Body: bytes) -> None:  # noqa: N803
        self.objects[Key] = Body
        self.puts += 1


@pytest.fixture(autouse=True)
def no_overrides(monkeypatch):
    for variable in OVERRIDES:
        monkeypatch.delenv(variable, raising=False)


def contents(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def uploaded_once(tmp_path_factory) -> tuple[build.Built, Bucket]:
    settings = load("dev", {})
    bucket = Bucket(settings.region)
    return build.build(settings, tmp_path_factory.mktemp("uploaded"), bucket="artifacts", s3=bucket), bucket


@pytest.fixture
def uploaded(uploaded_once) -> tuple[build.Built, Bucket]:
    """A build of `dev`, and a bucket of the test's own with what it has uploaded."""
    done, bucket = uploaded_once
    return done, copy.deepcopy(bucket)


def named_zips(body: dict) -> list:
    """What the functions and layers of a template say of their zips."""
    return [
        item["Properties"][build.ZIPPED[item["Type"]]]
        for item in body["Resources"].values()
        if item["Type"] in build.ZIPPED
    ]


def zips(environment: str) -> set[str]:
    """Files of the functions and layers that an environment deploys."""
    return {file for stack in all_stacks() if stack.environment == environment for file in named_zips(stack.body)}


def test_two_builds_are_identical_byte_for_byte(built, tmp_path):
    build.build(load("manufacturing"), tmp_path)

    assert contents(tmp_path) == contents(built("manufacturing").directory)


def test_the_manifest_has_hash_and_size_of_every_artifact(built):
    done = built("dev")
    manifest = json.loads((done.directory / "manifest.json").read_text(encoding="utf-8"))

    assert manifest == done.manifest
    assert {name for name in manifest["artifacts"] if name.endswith(".zip")} == zips(environment="dev")
    assert set(manifest["artifacts"]) | {"manifest.json"} == {path.name for path in done.directory.iterdir()}
    for name, artifact in manifest["artifacts"].items():
        content = (done.directory / name).read_bytes()
        assert artifact["sha256"] == hashlib.sha256(content).hexdigest()
        assert artifact["size_bytes"] == len(content)


def test_the_manifest_tells_one_settings_from_another(built, tmp_path, monkeypatch):
    monkeypatch.setenv("COMMIT_SHA", "abc")
    other = build.build(load("dev"), tmp_path)

    assert other.manifest["settings_sha256"] != built("dev").manifest["settings_sha256"]


@pytest.mark.parametrize("environment", environments())
def test_functions_fit_into_lambda(built, environment):
    sizes = {
        name: artifact["unzipped_bytes"]
        for name, artifact in built(environment).manifest["artifacts"].items()
        if name.endswith(".zip")
    }

    assert set(sizes) == zips(environment)
    functions = [file.removesuffix(".zip") for file in sizes if not file.startswith("layer-")]
    assert max(sizes[f"{name}.zip"] + sizes[layer_of(name).file] for name in functions) < 262_144_000


def test_an_upload_puts_every_artifact_once_under_a_key_of_its_hash(uploaded, tmp_path):
    done, bucket = uploaded
    first = dict(bucket.objects)
    build.build(load("dev"), tmp_path, bucket="artifacts", s3=bucket)

    assert bucket.puts == len(first) == len(done.manifest["artifacts"].keys() - {"root.json"})
    for key, content in first.items():
        assert key.startswith("sensorkeep-dev/")
        assert hashlib.sha256(content).hexdigest()[:20] in key


def test_a_change_has_another_key_and_leaves_the_rest_alone(uploaded, tmp_path):
    _, bucket = uploaded
    before = bucket.puts
    build.build(changed(load("dev"), log_level="DEBUG"), tmp_path, bucket="artifacts", s3=bucket)

    assert bucket.puts == before + 3  # the log level stands in the templates realtime, batch and reprocessing


def test_the_uploaded_templates_point_at_objects_that_are_there(uploaded):
    done, bucket = uploaded
    root = json.loads(done.root_template.read_text(encoding="utf-8"))
    prefix = "https://s3.eu-central-1.amazonaws.com/artifacts/"
    code = []

    for stack in root["Resources"].values():
        url = stack["Properties"]["TemplateURL"]
        assert url.startswith(prefix)
        code += named_zips(json.loads(bucket.objects[url.removeprefix(prefix)]))

    assert len(code) == len(zips(environment="dev"))
    assert all(item["S3Bucket"] == "artifacts" and item["S3Key"] in bucket.objects for item in code)


def test_the_deploy_command_names_template_stack_region_and_tags(tmp_path):
    done = build.build(load("manufacturing"), tmp_path, bucket="artifacts", s3=Bucket("ap-southeast-1"))
    words = shlex.split(done.deploy_command)
    tags = dict(word.split("=") for word in words if "=" in word)

    assert words[:3] == ["aws", "cloudformation", "deploy"]
    assert words[words.index("--template-file") + 1] == str(done.root_template)
    assert words[words.index("--stack-name") + 1] == "manufacturing-dev"
    assert words[words.index("--region") + 1] == "ap-southeast-1"
    assert "CAPABILITY_NAMED_IAM" in words
    assert set(tags) == TAGS
    assert (tags["Environment"], tags["ManagedBy"]) == ("dev", "sensorkeep")
    assert done.package_command is None


def test_without_a_bucket_the_files_are_named_and_packaging_comes_first(built):
    done = built("dev")
    root = json.loads(done.root_template.read_text(encoding="utf-8"))

    for stack in root["Resources"].values():
        template = json.loads((done.directory / stack["Properties"]["TemplateURL"]).read_text(encoding="utf-8"))
        assert all((done.directory / file).is_file() for file in named_zips(template))
    assert done.package_command.startswith(f"aws cloudformation package --template-file {done.root_template}")
    assert str(done.directory / "packaged.json") in done.deploy_command


def test_tags_with_spaces_survive_the_shell(built, monkeypatch, tmp_path):
    monkeypatch.setenv("COMMIT_AUTHOR", "Ada L. ada@example.com")
    done = build.build(load("dev"), tmp_path)

    assert "CommitAuthor=Ada L. ada@example.com" in shlex.split(done.deploy_command)


def test_a_missing_bucket_is_refused(tmp_path):
    with pytest.raises(BuildError, match=r"Bucket nowhere cannot be used: .*404.* Create it"):
        build.build(load("dev"), tmp_path, bucket="nowhere", s3=Bucket("eu-central-1"))


def test_a_bucket_of_another_region_is_refused(tmp_path):
    with pytest.raises(BuildError, match="Bucket artifacts is in us-east-1; Lambda needs one in eu-central-1"):
        build.build(load("dev"), tmp_path, bucket="artifacts", s3=Bucket("us-east-1"))


def test_missing_credentials_are_a_sentence(tmp_path, monkeypatch, capsys):
    class Nobody:
        def head_bucket(self, **_: object) -> None:
            raise NoCredentialsError

    monkeypatch.setattr(build.boto3, "client", lambda *_, **__: Nobody())

    assert build.main(["dev", "--bucket", "artifacts", "--out", str(tmp_path)]) == 1
    assert "Unable to locate credentials" in capsys.readouterr().err


def test_an_unknown_environment_is_a_sentence(capsys, tmp_path):
    assert build.main(["moon", "--out", str(tmp_path)]) == 1
    assert "Unknown environment 'moon'. Known: dev, iot-processing, local, manufacturing." in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_a_sentence(capsys, tmp_path):
    (tmp_path / "file").touch()

    assert build.main(["dev", "--out", str(tmp_path / "file")]) == 1
    assert str(tmp_path / "file") in capsys.readouterr().err


def test_the_command_line_says_what_was_built_and_how_to_deploy_it(capsys, tmp_path):
    assert build.main(["dev", "--out", str(tmp_path)]) == 0

    said = capsys.readouterr().out
    assert "process_readings.zip" in said
    assert f"aws cloudformation deploy --template-file {tmp_path}/packaged.json" in said


@pytest.mark.parametrize(
    ("body", "size_bytes", "inline", "sentence"),
    [
        ({}, 51_201, True, "root has 51,201 bytes; CloudFormation allows 51,200"),
        ({}, 1_000_001, False, "root has 1,000,001 bytes; CloudFormation allows 1,000,000"),
        ({"Resources": dict.fromkeys(map(str, range(501)))}, 1, True, "501 resources; CloudFormation allows 500"),
        ({"Parameters": dict.fromkeys(map(str, range(201)))}, 1, True, "201 parameters; CloudFormation allows 200"),
        ({"Outputs": dict.fromkeys(map(str, range(201)))}, 1, True, "201 outputs; CloudFormation allows 200"),
    ],
)
def test_a_template_beyond_cloudformations_limits_is_refused(body, size_bytes, inline, sentence):
    with pytest.raises(BuildError, match=sentence):
        check_template("root", body, size_bytes, inline)


def test_a_template_at_the_limits_is_accepted():
    full = {"Resources": dict.fromkeys(map(str, range(500))), "Outputs": dict.fromkeys(map(str, range(200)))}

    check_template("root", full, 51_200, inline=True)
    check_template("batch", full, 1_000_000, inline=False)


def test_a_function_that_lambda_cannot_unpack_is_refused():
    check_function("big", 262_144_000)
    with pytest.raises(BuildError, match="big is 262,144,001 bytes unzipped, with its layer; Lambda allows"):
        check_function("big", 262_144_001)


def test_a_layer_name_that_gets_too_long_is_refused():
    check_layer_name("a" * 140)
    with pytest.raises(BuildError, match="has 141 characters; Lambda allows 140"):
        check_layer_name("a" * 141)


def test_a_bucket_name_that_gets_too_long_is_refused():
    check_bucket_name("a" * 35, "ap-southeast-1")
    with pytest.raises(BuildError, match="has 64 characters; S3 allows 63"):
        check_bucket_name("a" * 36, "ap-southeast-1")
