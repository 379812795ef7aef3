"""`python -m local down`: stop the embedded AWS and everything it started."""

import argparse

from local import process


def add_arguments(_: argparse.ArgumentParser) -> None:
    """No options."""


def run(_: argparse.Namespace) -> int:
    """Stop it. Not running is fine."""
    print("The embedded AWS has stopped." if process.stop() else "The embedded AWS was not running.")
    return 0
