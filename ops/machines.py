"""The state machines that have runs to tell of."""

from ops import compact, optimize, reprocess

MACHINES = (compact.MACHINE, optimize.MACHINE, reprocess.MACHINE)
