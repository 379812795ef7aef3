"""Command line of the measurements."""

import argparse

from bench import compaction, hot_path, memory, planner, scale


def main() -> None:
    """Run the measurement that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    measurements = parser.add_subparsers(title="measurements", required=True)
    hot_path.add_command(measurements.add_parser("hot-path", help=hot_path.SUMMARY, description=hot_path.SUMMARY))
    compaction.add_command(
        measurements.add_parser("compaction", help=compaction.SUMMARY, description=compaction.SUMMARY)
    )
    memory.add_command(measurements.add_parser("memory", help=memory.SUMMARY, description=memory.SUMMARY))
    planner.add_command(measurements.add_parser("planner", help=planner.SUMMARY, description=planner.SUMMARY))
    scale.add_command(measurements.add_parser("scale", help=scale.SUMMARY, description=scale.SUMMARY))
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
