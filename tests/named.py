"""Tests that other tests name: `tests/lambdas/x/test_y.py::test_z`."""

import ast
import functools
from pathlib import Path

ROOT = Path(__file__).parents[1]


def is_test(name: str) -> bool:
    """Whether the repository has a test of this name."""
    path, _, function = name.partition("::")
    return function.startswith("test_") and function in _functions(ROOT / path)


@functools.cache
def _functions(path: Path) -> frozenset[str]:
    if not path.is_file():
        return frozenset()
    tree = ast.parse(path.read_bytes(), str(path))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))
