"""Loading settings: what is accepted, and how a bad value is explained."""

from pathlib import Path

import pytest

from config.fields import RESERVED_NAMES, TABLE_COLUMNS
from config.settings import Settings, SettingsError, environments, load

SMALLEST = """
system = "power-plant"
region = "eu-central-1"
raw_bucket.name = "plant-raw-{suffix}"
processed_bucket.name = "plant-processed-{suffix}"
realtime.function.name = "plant-processor-{suffix}"
"""


def load_text(folder: Path, text: str, **overrides: str) -> Settings:
    (folder / "plant.toml").write_text(SMALLEST + text, encoding="utf-8")
    return load("plant", overrides, folder)


def refusal(folder: Path, text: str, **overrides: str) -> str:
    with pytest.raises(SettingsError) as refused:
        load_text(folder, text, **overrides)
    return str(refused.value)


@pytest.mark.parametrize("environment", environments())
def test_every_environment_of_the_repository_loads(environment):
    settings = load(environment, {})

    assert settings.stack_name == f"{settings.system}-{settings.suffix}"


def test_the_two_systems_that_must_deploy_are_there():
    assert {"local", "dev", "iot-processing", "manufacturing"} <= set(environments())


def test_settings_do_not_change_after_loading(tmp_path):
    settings = load_text(tmp_path, "")

    with pytest.raises(ValueError, match="frozen"):
        settings.region = "us-east-1"


def test_an_unknown_environment_is_refused_with_the_known_ones(tmp_path):
    (tmp_path / "plant.toml").write_text(SMALLEST, encoding="utf-8")

    with pytest.raises(SettingsError, match=r"Unknown environment 'moon'\. Known: plant\."):
        load("moon", {}, tmp_path)


def test_a_name_with_a_path_is_no_environment(tmp_path):
    (tmp_path / "plant.toml").write_text(SMALLEST, encoding="utf-8")
    (tmp_path / "folder").mkdir()

    with pytest.raises(SettingsError, match="Unknown environment"):
        load("../plant", {}, tmp_path / "folder")


@pytest.mark.parametrize(
    ("text", "field", "allowed"),
    [
        ("[hot_table]\nretention_days = 0", "hot_table.retention_days", "greater than or equal to 1"),
        ("[lake]\npartition_by = 'week'", "lake.partition_by", "'day' or 'hour'"),
        ("[ingest]\nstream_shards = 501", "ingest.stream_shards", "less than or equal to 500"),
        ("[ingest]\nshards = 2", "ingest.shards", "allowed here: firehose_buffer_mb"),
        ("[stream]\nshards = 2", "stream", "allowed here: access_logs"),
        ("[ingest]\nstream_name = 'a-{stage}'", "ingest.stream_name", "only the placeholders {system} and {suffix}"),
        ("[alerts]\nemails = ['nobody']", "alerts.emails.0", "match pattern"),
        ("[alerts]\nsms = ['0151 123']", "alerts.sms.0", "match pattern"),
        ("[decoding]\nlate_after_h = 8761", "decoding.late_after_h", "less than or equal to 8760"),
        ("[decoding]\nfuture_tolerance_s = 86401", "decoding.future_tolerance_s", "less than or equal to 86400"),
        ("[alerts.queue]\nretention_days = 15", "alerts.queue.retention_days", "less than or equal to 14"),
        ("[metrics.Temperature]\nunit = 'K'", "metrics.Temperature", "match pattern"),
        ("[metrics.t]\nunit = 'K'\nthresholds = [{}]", "metrics.t.thresholds.0", "exactly one of 'above' and 'below'"),
        (
            "[metrics.t]\nunit = 'K'\nthresholds = [{above = 1, below = 0}]",
            "metrics.t.thresholds.0",
            "exactly one of 'above' and 'below'",
        ),
        ("[metrics.t]\nunit = 'K'\nscale = 0", "metrics.t.scale", "a scale of 0 would make one value of all"),
        ("[metrics.t]\nunit = 'K'\nscale = inf", "metrics.t.scale", "finite number"),
        ("[metrics.t]\nunit = 'K'\noffset = nan", "metrics.t.offset", "finite number"),
        ("[hot_table]\ndevice_key = 'machine'", "hot_table.device_key", "'device_id' or 'sensor_id'"),
        ("[audit]\nbucket_name = 'plant-raw-{suffix}'", "raw_bucket.name and audit.bucket_name", "must differ"),
        ("[audit]\ntrail_name = 'my--trail'", "audit.trail_name", "match pattern"),
        ("[audit]\ndata_events = 'read'", "audit.data_events", "'none', 'write' or 'all'"),
        ("[devices]\nsearchable_attributes = ['a', 'b', 'c', 'd']", "searchable_attributes", "at most 3 items"),
        ("[devices]\nsearchable_attributes = ['a', 'a']", "devices", "names an attribute twice"),
        ("[devices]\nsearchable_attributes = ['certificate_id']", "devices", "set by the provisioning"),
        ("[tags]\nowner = 3", "tags.owner", "valid string"),
        ("[ingest]\ntopic_prefix = 'sensors'", "ingest.topic_prefix", "match pattern"),
        ("[ingest]\nrule_name = '{system}_rule'", "ingest.rule_name", "match pattern"),
        ("[lake]\ndatabase = '{system}_{suffix}'", "lake.database", "match pattern"),
    ],
)
def test_a_bad_value_names_the_file_the_field_and_what_is_allowed(tmp_path, text, field, allowed):
    message = refusal(tmp_path, text)

    assert str(tmp_path / "plant.toml") in message
    assert field in message
    assert allowed in message


def test_a_name_may_be_as_long_as_aws_allows_once_it_is_filled_in(tmp_path):
    text = f"suffix = 'x'\n[ingest]\nfirehose_name = '{'f' * 54}-{{suffix}}'"

    assert load_text(tmp_path, text).ingest.firehose_name.endswith("{suffix}")
    assert "'" + "f" * 54 + "-abcdefghijkl'" in refusal(tmp_path, text, ENVIRONMENT_SUFFIX="abcdefghijkl")


@pytest.mark.parametrize("author", ["build[bot]", "Ada <ada@example.com>", "O'Neil", "a" * 257])
def test_a_tag_that_iam_would_refuse_is_refused_with_its_variable(tmp_path, author):
    message = refusal(tmp_path, "", COMMIT_AUTHOR=author)

    assert "tags.commit_author:" in message
    assert "from the environment variable COMMIT_AUTHOR" in message


@pytest.mark.parametrize("author", ["Zoë Müller", "ada+ci@example.com", "山田 太郎", "team/ops: a=b"])
def test_a_tag_may_hold_what_aws_allows(tmp_path, author):
    assert load_text(tmp_path, "", COMMIT_AUTHOR=author).tags.commit_author == author


def test_every_bad_value_is_reported_at_once(tmp_path):
    message = refusal(tmp_path, "[hot_table]\nretention_days = 0\n[lake]\npartition_by = 'week'")

    assert "2 setting(s)" in message
    assert "hot_table.retention_days" in message
    assert "lake.partition_by" in message


@pytest.mark.parametrize("name", sorted(RESERVED_NAMES | TABLE_COLUMNS))
def test_a_metric_cannot_have_a_name_that_already_means_something(tmp_path, name):
    assert f"'{name}' is reserved" in refusal(tmp_path, f"[metrics.{name}]\nunit = 'K'")


def test_a_file_that_is_not_toml_is_named(tmp_path):
    assert "not valid TOML" in refusal(tmp_path, "[")


@pytest.mark.promise("iot-processing", "settings from the environment")
def test_the_environment_overrides_the_file(tmp_path):
    settings = load_text(
        tmp_path,
        "[tags]\nowner = 'ours'",
        ENVIRONMENT_SUFFIX="pr7",
        AWS_REGION="us-east-1",
        TOPIC_PREFIX="plant-{suffix}/sensors",
        REPOSITORY="example/plant",
        COMMIT_SHA="abc123",
        COMMIT_AUTHOR="Ada",
    )

    assert (settings.suffix, settings.region, settings.stack_name) == ("pr7", "us-east-1", "power-plant-pr7")
    assert settings.name(settings.ingest.topic_prefix) == "plant-pr7/sensors"
    assert settings.tags.model_dump() == {
        "project": "sensorkeep",
        "owner": "ours",
        "repository": "example/plant",
        "commit_sha": "abc123",
        "commit_author": "Ada",
    }


def test_an_override_of_a_section_that_is_none_is_left_to_the_validation(tmp_path):
    assert "tags: Input should be a valid dictionary" in refusal(tmp_path, "tags = 'none'", COMMIT_SHA="abc")


def test_an_empty_override_leaves_the_file_alone(tmp_path):
    assert load_text(tmp_path, "", AWS_REGION="").region == "eu-central-1"


def test_a_bad_override_is_named(tmp_path):
    message = refusal(tmp_path, "", ENVIRONMENT_SUFFIX="Pull Request")

    assert "suffix:" in message
    assert "got 'Pull Request' from the environment variable ENVIRONMENT_SUFFIX" in message


def test_names_are_filled_in(tmp_path):
    settings = load_text(tmp_path, "suffix = 'x'")

    assert settings.name("{system}-compact-{suffix}") == "power-plant-compact-x"


SIGNED = "[credentials]\n[alerts.webhook]\n"


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://alerts.example.com/", "http is for a receiver on the loopback address alone"),
        ("https://user:password@example.com/", "a user or password does not belong"),
        ("https://example.com/alerts#top", "a fragment (#) never reaches a receiver"),
        ("https://example.com:99999/", "the port is a number from 1 to 65535"),
        ("https:///alerts", "give a whole address"),
        ("https://alerts..example.com/", "the host is no name that can be looked up"),
        (f"https://{'a' * 64}.example.com/", "the host is no name that can be looked up"),
        ("ftp://example.com/", "give a whole address"),
        ("https://example.com/a b", "match pattern"),
        ("https://example.com/{suffix}", "match pattern"),
        ("http://127.0.0.1:8000/", "set allow_private_addresses = true"),
        ("https://localhost/", "set allow_private_addresses = true"),
    ],
)
def test_an_address_that_alerts_should_not_go_to_is_refused(tmp_path, url, allowed):
    assert allowed in refusal(tmp_path, f"{SIGNED}url = '{url}'")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000/", "http://[::1]:8000/", "http://localhost/", "https://10.1.2.3/"]
)
def test_a_receiver_of_ones_own_network_needs_a_word_for_it(tmp_path, url):
    webhook = load_text(tmp_path, f"{SIGNED}url = '{url}'\nallow_private_addresses = true").alerts.webhook

    assert webhook is not None
    assert webhook.url == url


def test_a_webhook_without_credentials_is_refused(tmp_path):
    message = refusal(tmp_path, "[alerts.webhook]\nurl = 'https://example.com/'")

    assert "alerts.webhook needs the section [credentials]" in message


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("realtime.function.timeout_s = 50", "function_duration_ms must be less than realtime.function.timeout_s"),
        ("monitoring.firehose_age_s = 300", "firehose_age_s must be more than ingest.firehose_buffer_s"),
        ("compaction.grace_minutes = 180", "backlog_age_s must be more than an hour and compaction.grace_minutes"),
    ],
)
def test_an_alarm_that_could_never_go_off_or_would_never_end_is_refused(tmp_path, given, why):
    assert f"together: Value error, monitoring.{why}" in refusal(tmp_path, given)


def test_what_a_run_has_staged_is_not_deleted_before_it_is_too_old_to_go_on(tmp_path):
    message = refusal(tmp_path, "optimization.orphan_days = 17")

    assert "processed_bucket.staging_days must be at least optimization.orphan_days" in message
    assert load_text(tmp_path, "optimization.orphan_days = 17\nprocessed_bucket.staging_days = 17").optimization
