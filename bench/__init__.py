"""Reproducible measurements, one module each: `python -m bench <measurement>`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "lambdas"))  # the import root of the functions that are measured
