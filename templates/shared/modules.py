"""Which of our own modules a handler reaches, found in the sources without running them."""

import ast
from collections.abc import Iterator
from pathlib import Path


def reachable(root: Path, module: str) -> list[Path]:
    """Files below `root` that importing `module` executes, imports inside functions included; sorted."""
    found: set[Path] = set()
    waiting = [module]
    seen = set(waiting)
    while waiting:
        name = waiting.pop()
        for path in _files(root, name):
            if path not in found:
                found.add(path)
                news = set(_imports(path, root)) - seen
                seen |= news
                waiting += news
    return sorted(found)


def _files(root: Path, module: str) -> Iterator[Path]:
    """The module's file and the `__init__.py` of each package above it, as far as they are ours."""
    parts = module.split(".")
    for depth in range(1, len(parts) + 1):
        place = root.joinpath(*parts[:depth])
        for path in (place.with_suffix(".py"), place / "__init__.py"):
            if path.is_file():
                yield path


def _imports(path: Path, root: Path) -> Iterator[str]:
    """Every module that the file may import; a name imported from a package may itself be a module."""
    package = path.relative_to(root).parent.parts
    for node in ast.walk(ast.parse(path.read_bytes(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
