"""Which of our own modules a handler reaches, found in the sources without running them."""

import ast
import functools
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
                news = _imports(path, path.read_bytes(), path.relative_to(root).parent.parts) - seen
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


@functools.cache
def _imports(path: Path, source: bytes, package: tuple[str, ...]) -> frozenset[str]:
    """Every module that the source may import; a name imported from a package may itself be a module.

    Kept, since most modules are reached from many handlers.
    """
    found: set[str] = set()
    for node in ast.walk(ast.parse(source, str(path))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            found.update([base, *(f"{base}.{alias.name}" for alias in node.names)])
    return frozenset(found)
