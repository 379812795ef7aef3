"""The command line for people: status, compaction, upkeep and queries of a stack, on AWS or on the embedded AWS."""

import sys
from pathlib import Path

LAMBDAS = str(Path(__file__).parents[1] / "lambdas")  # import root of the code that we share with the functions
if LAMBDAS not in sys.path:
    sys.path.append(LAMBDAS)
