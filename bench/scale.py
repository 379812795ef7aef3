"""`python -m bench scale`: the tables of docs/scale.md."""

import argparse
from typing import Final

from bench.scale_costs import METRICS_OF, Costs, measure
from bench.scale_model import (
    AT_THIS_RATE,
    DAYS,
    DEFAULTS,
    GB,
    HOURS,
    LIST_S_A_PAGE,
    MANIFEST_BYTES,
    MB,
    MEASURED,
    READINGS_A_SECOND,
    SNAPSHOT_BYTES,
    STEP_S,
    TASK_START_S,
    TB,
    day,
    hour,
    items,
    shards,
)
from bench.scale_reprocess import reprocess
from compaction.planning import MAX_OBJECTS as MAX_RUN_OBJECTS
from config.sections import Compaction, Optimization
from templates.shared.lake_functions import TIMEOUT_S

SUMMARY: Final = "What a month at 10,000 readings a second takes, from measured costs of a reading (docs/scale.md)."


def add_command(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--measure", action="store_true", help="measure the costs of a reading here, for a minute")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Print the tables as the page has them."""
    measured = {size: measure(size) for size in METRICS_OF} if arguments.measure else MEASURED
    print("\n\n".join(tables(measured)))


def tables(measured: dict[int, Costs]) -> list[str]:
    """The page's tables in Markdown, in its order."""
    columns = list(measured.values())
    return [
        _reading(columns),
        _stream(columns),
        _run(columns),
        _upkeep(columns),
        _cost(columns),
        _reprocess(columns),
        _metadata(measured),
        _limits(columns),
    ]


def _reading(columns: list[Costs]) -> str:
    return _table(
        "a reading",
        columns,
        {
            "as it is sent, bytes": [f"{each.payload_bytes:.0f}" for each in columns],
            "on the stream, bytes": [f"{each.record_bytes:.0f}" for each in columns],
            "in the archive (gzip), bytes": [f"{each.archive_bytes:.0f}" for each in columns],
            "in the table (zstd), bytes": [f"{each.table_bytes:.0f}" for each in columns],
            "to compact, µs of CPU": [f"{each.compact_us:.1f}" for each in columns],
            "to rewrite, µs of CPU": [f"{each.rewrite_us:.1f}" for each in columns],
            "to merge, decoded again, µs of CPU": [f"{each.merge_us:.1f}" for each in columns],
        },
    )


def _stream(columns: list[Costs]) -> str:
    bytes_a_second = [READINGS_A_SECOND * each.record_bytes for each in columns]
    runs = [hour(each, Compaction()) for each in columns]
    month = READINGS_A_SECOND * 86_400 * DAYS
    return _table(
        "a month comes in",
        columns,
        {
            "MB a second": [f"{each / MB:.1f}" for each in bytes_a_second],
            "shards": [f"{shards(each)}" for each in columns],
            "archive objects, million": [f"{each.objects * HOURS / 1e6:.1f}" for each in runs],
            "archive, TB": [f"{month * each.archive_bytes / TB:.2f}" for each in columns],
            "table, TB": [f"{month * each.table_bytes / TB:.2f}" for each in columns],
        },
    )


def _run(columns: list[Costs]) -> str:
    rows: dict[str, list[str]] = {}
    for name, (compaction, _) in {"defaults": DEFAULTS, "at this rate": AT_THIS_RATE}.items():
        runs = [hour(each, compaction) for each in columns]
        rows |= {
            f"{name}: tasks": [f"{each.tasks}" for each in runs],
            f"{name}: a task, s": [f"{each.task_s:.0f}" for each in runs],
            f"{name}: plan + map + commit, s": [
                f"{each.plan_s:.0f} + {each.map_s:.0f} + {each.commit_s:.0f}" for each in runs
            ],
            f"{name}: table a task, MB": [f"{each.table_bytes / MB:.0f}" for each in runs],
        }
    first = [hour(each, Compaction()) for each in columns]
    heads = {
        "objects": [f"{each.objects:,.0f}" for each in first],
        "archive, GB": [f"{each.archive_bytes / GB:.1f}" for each in first],
    }
    return _table("an hour's run", columns, heads | rows)


def _upkeep(columns: list[Costs]) -> str:
    rows: dict[str, list[str]] = {}
    for name, settings in {"defaults": DEFAULTS, "at this rate": AT_THIS_RATE}.items():
        each = [day(costs, settings) for costs in columns]
        rows[f"{name}: tasks"] = [f"{one.tasks:,}" for one in each]
        rows[f"{name}: rows read for one written"] = [f"{one.amplification:.1f}" for one in each]
        rows[f"{name}: a task, s"] = [f"{one.task_s:,.0f}" for one in each]
        rows[f"{name}: the map, minutes"] = [f"{one.map_s / 60:,.0f}" for one in each]
    return _table("a day's upkeep", columns, rows)


def _cost(columns: list[Costs]) -> str:
    found = [items(each, AT_THIS_RATE) for each in columns]
    sent_tb = [READINGS_A_SECOND * 86_400 * DAYS * each.payload_bytes / TB for each in columns]
    work = [sum(usd for name, usd in each.items() if not name.startswith("S3")) for each in found]
    rows = {f"{name}, $": [f"{each[name]:,.2f}" for each in found] for name in found[0]}
    rows["compaction and upkeep, $ a TB of payloads"] = [
        f"{usd / size:.2f}" for usd, size in zip(work, sent_tb, strict=True)
    ]
    return _table("a month costs", columns, rows)


def _metadata(measured: dict[int, Costs]) -> str:
    columns = list(measured.values())
    files = [READINGS_A_SECOND * 86_400 * each.table_bytes / (Compaction().file_mb * MB) for each in columns]
    entries = [number * DAYS * MANIFEST_BYTES[size] for number, size in zip(files, measured, strict=True)]
    kept = 25 * Optimization().keep_days * SNAPSHOT_BYTES
    return _table(
        "metadata of the table",
        columns,
        {
            "files a day, after upkeep": [f"{number:,.0f}" for number in files],
            "manifests of a month's files, MB": [f"{size / MB:.1f}" for size in entries],
            "the metadata file, KB": [f"{kept / 1000:.0f}" for _ in columns],
        },
    )


def _limits(columns: list[Costs]) -> str:
    """What grows with the archive in months, what grows with the rate in times this rate."""
    compaction, _ = AT_THIS_RATE
    usual, chosen = [hour(each, Compaction()) for each in columns], [hour(each, compaction) for each in columns]
    listed = (TIMEOUT_S - STEP_S) / LIST_S_A_PAGE * 1000
    rows = {
        "defaults: planning lists for 900 s, after months": [f"{listed / (one.objects * HOURS):.1f}" for one in usual],
        "at this rate: planning lists for 900 s, times": [
            f"{listed / (one.objects * 24 * (compaction.lookback_days or DAYS)):.0f}" for one in chosen
        ],
        "at this rate: an hour's run takes an hour, times": [
            f"{compaction.concurrency * 3600 / (one.tasks * one.task_s):.0f}" for one in chosen
        ],
        "a run has a million objects, times": [f"{MAX_RUN_OBJECTS / one.objects:.0f}" for one in chosen],
    }
    for name, settings in {"defaults": DEFAULTS, "at this rate": AT_THIS_RATE}.items():
        found = [day(each, settings) for each in columns]
        rows[f"{name}: a task of the upkeep takes 900 s, times"] = [
            f"{(TIMEOUT_S - TASK_START_S) / (one.task_s - TASK_START_S):.1f}" for one in found
        ]
    return _table("the limit is met", columns, rows)


def _reprocess(columns: list[Costs]) -> str:
    runs = [reprocess(each, AT_THIS_RATE) for each in columns]
    sent_tb = [READINGS_A_SECOND * 86_400 * each.payload_bytes / TB for each in columns]
    return _table(
        "a day is reprocessed",
        columns,
        {
            "objects": [f"{each.objects:,.0f}" for each in runs],
            "decoding: tasks": [f"{each.decode_tasks:,}" for each in runs],
            "decoding: a task, s": [f"{each.decode_task_s:.0f}" for each in runs],
            "decoding: the map, minutes": [f"{each.decode_s / 60:.0f}" for each in runs],
            "merging: tasks": [f"{each.merge_tasks:,}" for each in runs],
            "merging: a task, s": [f"{each.merge_task_s:.0f}" for each in runs],
            "merging: the map, minutes": [f"{each.merge_s / 60:.0f}" for each in runs],
            "days in one run, at most": [f"{each.days_a_run:.1f}" for each in runs],
            "Lambda, $": [f"{each.lambda_usd:.2f}" for each in runs],
            "S3 requests, $": [f"{each.requests_usd:.2f}" for each in runs],
            "Step Functions, $": [f"{each.transitions_usd:.2f}" for each in runs],
            "a run, $ a TB of payloads": [f"{each.usd / tb:.2f}" for each, tb in zip(runs, sent_tb, strict=True)],
        },
    )


def _table(title: str, columns: list[Costs], rows: dict[str, list[str]]) -> str:
    heads = [f"{each.payload_bytes:.0f} B" for each in columns]
    lines = [[title, *heads], ["---", *("---:" for _ in heads)], *([name, *values] for name, values in rows.items())]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
