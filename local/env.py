"""`python -m local env`: the exports that make any AWS client talk to the embedded AWS."""

import argparse
import shlex
import sys

from local import process, state


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No options: use it as `eval "$(python -m local env)"`."""
    parser.description = 'print shell exports: eval "$(python -m local env)"'


def run(_: argparse.Namespace) -> int:
    """Print the exports; 1 when nothing runs."""
    running = process.running()
    if running is None:
        print(state.NOT_RUNNING, file=sys.stderr)
        return 1
    print(f"unset {' '.join(process.MISLEADING)}")
    for name, value in running.environ.items():
        print(f"export {name}={shlex.quote(value)}")
    return 0
