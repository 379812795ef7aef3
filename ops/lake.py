"""The Iceberg table of a stack, as the commands read it."""

import os

from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.table import Table

from compaction.catalog import open_catalog
from compaction.runs import TABLE
from ops.stack import Stack


def load_table(stack: Stack) -> Table | None:
    """The table `readings`, or None before the first run has made it."""
    catalog = open_catalog(stack.session, os.environ)
    try:
        return catalog.load_table((stack.outputs["LakeDatabaseName"], TABLE))
    except NoSuchTableError:
        return None
