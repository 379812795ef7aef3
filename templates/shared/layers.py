"""Which functions share their packages: a Lambda layer for each distinct lock list."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from templates.shared.limits import BuildError
from templates.shared.naming import logical_id

LAMBDAS = Path(__file__).parents[2] / "lambdas"
BESIDE_THE_NAME = re.compile(r"[^\w.-].*")
"""Extras and versions (https://packaging.python.org/en/latest/specifications/dependency-specifiers/)."""


@dataclass(frozen=True)
class Layer:
    """What one lock list names, installed. It is called by the packages that its functions ask for."""

    packages: tuple[str, ...]
    """Lines of `requirements.in`."""
    lock: Path
    """The `requirements.txt` of one of its functions; those of the others are equal."""

    @property
    def name(self) -> str:
        return "-".join(BESIDE_THE_NAME.sub("", package).replace(".", "-") for package in self.packages)

    @property
    def file(self) -> str:
        """Its zip, beside the templates of a build."""
        return f"layer-{self.name}.zip"

    @property
    def title(self) -> str:
        return logical_id(self.name)

    @property
    def output(self) -> str:
        """Under which its stack offers the ARN of the version that a deployment publishes."""
        return f"{self.title}LayerArn"


def layer_of(function: str, lambdas: Path = LAMBDAS) -> Layer:
    """The layer of `lambdas/<function>`. Raises BuildError when it has no lists of packages."""
    wanted, lock = (lambdas / function / f"requirements.{suffix}" for suffix in ("in", "txt"))
    for path, remedy in ((wanted, "List its packages there"), (lock, "Run `make lock`")):
        if not path.is_file():
            raise BuildError(f"lambdas/{function}/{path.name} does not exist. {remedy}.")
    lines = wanted.read_text(encoding="utf-8").splitlines()
    return Layer(tuple(sorted(line for line in lines if line and not line.startswith("#"))), lock)


def layers_of(functions: Iterable[str], lambdas: Path = LAMBDAS) -> list[Layer]:
    """The layers that these functions need, by name.

    Raises BuildError when two functions ask for the same packages and have different locks of them.
    """
    found: dict[str, Layer] = {}
    for function in functions:
        layer = layer_of(function, lambdas)
        same = found.setdefault(layer.name, layer)
        if same.lock.read_bytes() != layer.lock.read_bytes():
            raise BuildError(
                f"lambdas/{same.lock.parent.name} and lambdas/{function} ask for the same packages, but their"
                " requirements.txt differ. Make their requirements.in equal and run `make lock`."
            )
    return [found[name] for name in sorted(found)]
