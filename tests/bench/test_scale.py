"""docs/scale.md says what its arithmetic says, and the arithmetic starts from figures that can be measured again."""

import re
import tomllib
from pathlib import Path

import pytest

from bench import scale, scale_model
from bench.scale_costs import METRICS_OF, measure
from templates.shared.lake_functions import TIMEOUT_S
from tests.lake import AT, Lake, in_memory, reading
from tests.memory_aws import Effects

PAGE = Path(__file__).parents[2] / "docs" / "scale.md"


@pytest.mark.parametrize("table", scale.tables(scale_model.MEASURED), ids=lambda table: table.split("|")[1].strip())
def test_the_page_has_the_tables_as_they_are_computed(table: str) -> None:
    assert table in PAGE.read_text(encoding="utf-8"), "if meant, put in what `python -m bench scale` prints"


@pytest.mark.parametrize("size", scale_model.MEASURED)
def test_what_does_not_depend_on_the_machine_is_still_what_was_measured(size: int) -> None:
    kept, found = scale_model.MEASURED[size], measure(size, json_bytes=1)

    assert found.payload_bytes == pytest.approx(size, rel=0.05)
    assert found.payload_bytes == pytest.approx(kept.payload_bytes, rel=0.02)
    assert found.archive_bytes == pytest.approx(kept.archive_bytes, rel=0.1)
    assert found.table_bytes == pytest.approx(kept.table_bytes, rel=0.15)
    assert min(found.compact_us, found.rewrite_us, found.passed_over_us) > 0


def test_the_page_shows_the_settings_that_it_computes_with() -> None:
    (block,) = re.findall(r"^```toml\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    shown = tomllib.loads(block)
    compaction, lake = scale_model.AT_THIS_RATE

    assert compaction.model_dump(exclude_unset=True) == shown["compaction"]
    assert lake.model_dump(exclude_unset=True) == shown["lake"]
    assert shown["ingest"]["stream_shards"] == max(map(scale_model.shards, scale_model.MEASURED.values()))


@pytest.mark.parametrize("size", scale_model.MANIFEST_BYTES)
def test_metadata_grow_by_about_as_much_as_the_page_says(size: int) -> None:
    metrics = tuple(f"metric_{number:02}" for number in range(METRICS_OF[size]))
    lake = Lake(metrics=metrics, aws=in_memory(Effects()))
    for number in range(20):
        lake.put(f"{number}", [reading(f"p-{number}", at=AT, **dict.fromkeys(metrics, number + 0.123))])
    sizes = []
    for run_id in ("first", "second"):
        lake.run(run_id, task_bytes=1)
        table = lake.table()
        sizes.append(len(lake.store.read(table.metadata_location.removeprefix(f"s3://{lake.processed}/")) or b""))
        lake.put("later", [reading("p-later", at=AT, **dict.fromkeys(metrics, 1.5))])
    oldest = lake.table().metadata.snapshots[0].manifests(lake.table().io)

    (manifest,) = oldest
    assert manifest.manifest_length / (manifest.added_files_count or 0) == pytest.approx(
        scale_model.MANIFEST_BYTES[size], rel=0.3
    )
    assert sizes[1] - sizes[0] == pytest.approx(scale_model.SNAPSHOT_BYTES, rel=0.5)


@pytest.mark.parametrize("size", scale_model.MEASURED)
def test_the_settings_for_this_rate_keep_every_step_within_its_limit(size: int) -> None:
    costs = scale_model.MEASURED[size]
    run, upkeep = scale_model.hour(costs, scale_model.AT_THIS_RATE[0]), scale_model.day(costs, scale_model.AT_THIS_RATE)

    assert max(run.plan_s, run.task_s, run.commit_s, upkeep.task_s) < TIMEOUT_S
    assert run.run_s < 3600
    assert upkeep.amplification < scale_model.day(costs, scale_model.DEFAULTS).amplification
