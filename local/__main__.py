"""`python -m local …`: the embedded AWS on this machine, and what drives it."""

import argparse
import importlib
import os
import sys

from local import state

COMMANDS = {
    "up": "start the embedded AWS and deploy the environment `local` to it",
    "down": "stop it",
    "status": "what runs where",
    "env": "print the exports that point any AWS client at it",
    "simulate": "devices that publish over MQTT, made up or replayed from files",
    "demo": "a reading's whole way, with a summary",
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command: 1 with a sentence on standard error when it cannot do what was asked.

    Only the chosen command's module is imported, so that each starts at once.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    chosen = next((word for word in arguments if word in COMMANDS), None)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        if name == chosen:
            importlib.import_module(f"local.{name}").add_arguments(command)
    given = parser.parse_args(arguments)
    try:
        return int(importlib.import_module(f"local.{given.command}").run(given))
    except Exception as error:
        from local import faults  # knows every command's errors, and takes as long to import as all of them

        if (sentence := faults.sentence(error)) is None:
            raise
        print(sentence, file=sys.stderr)
        return 1


if __name__ == "__main__":
    state.shield()
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `| head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
