"""`python -m ops …`: looks at a deployed stack, compacts and reprocesses its archive, keeps up its table, queries it.

Region, credentials and endpoint come from the standard AWS environment alone.
"""

import argparse
import importlib
import json
import os
import sys

from botocore.exceptions import BotoCoreError, ClientError

from ops.errors import OpsError

COMMANDS = {
    "status": "what is deployed, what waits in the archive, what the table holds",
    "compact": "write archived readings into the table",
    "optimize": "rewrite the table's files where that pays, expire snapshots, delete orphans",
    "reprocess": "read archived readings again by today's rules: try, apply, back-test, undo",
    "runs": "list the runs of the state machines, or show all about one",
    "query": "ask the table a question in SQL",
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command: 0 when it did what was asked, 1 with a sentence on standard error when not."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(prog="python -m ops", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    chosen = next((word for word in arguments if word in COMMANDS), None)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        command.add_argument("--stack", metavar="NAME", help="root stack, when several are deployed")
        command.add_argument("--json", action="store_true", help="print JSON for programs")
        if name == chosen:  # only the chosen command's module is imported, so that each starts at once
            importlib.import_module(f"ops.{name}").add_arguments(command)
    given, unknown = parser.parse_known_args(arguments)
    if unknown:  # with the usage of the command, which has the right ones
        commands.choices[given.command].error(f"unrecognized arguments: {' '.join(unknown)}")
    try:
        return int(importlib.import_module(f"ops.{given.command}").run(given))
    except OpsError as error:
        return _fail(str(error), as_json=given.json)
    except (ClientError, BotoCoreError) as error:
        return _fail(f"AWS: {error}", as_json=given.json)
    except BrokenPipeError:
        raise
    except OSError as error:  # PyIceberg's reader of the table's files
        return _fail(f"The table's files cannot be read: {error}", as_json=given.json)


def _fail(message: str, *, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"error": message}))
    print(message, file=sys.stderr)
    return 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `| head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
