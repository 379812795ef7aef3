"""The reference of every setting, generated from the models: `python -m config.reference` writes docs/settings.md."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Le, MaxLen
from pydantic.fields import FieldInfo

from config.fields import Model
from config.settings import OVERRIDES, Settings, environments, nested_model

REFERENCE = Path(__file__).parents[1] / "docs" / "settings.md"

INTRODUCTION = """\
# Settings

One TOML file in `config/` describes one deployable system; these exist: {environments}.
A setting that a file leaves out has the default below; one that is not listed here is refused.
In names, `{{system}}` and `{{suffix}}` are filled in.

These environment variables replace a value of the file: {overrides}.

This page is generated: `python -m config.reference`.
"""


def render() -> str:
    """The whole page as Markdown."""
    introduction = INTRODUCTION.format(
        environments=", ".join(f"`{name}`" for name in environments()),
        overrides=", ".join(f"`{variable}` (`{'.'.join(field)}`)" for variable, field in OVERRIDES.items()),
    )
    return "\n".join([introduction, *_section("", Settings)])


def _section(path: str, model: type[Model]) -> Iterator[str]:
    """A table of the section's own settings, then its subsections."""
    nested: list[tuple[str, type[Model]]] = []
    rows: list[str] = []
    for name, field in model.model_fields.items():
        inner = nested_model(field.annotation)
        if inner is None:
            rows.append(f"| `{name}` | {_kind(field)} | {_default(field)} | {field.description} |")
        else:
            nested.append((_header(path.strip("[]"), name, field), inner))
    yield f"## {f'`{path}`' if path else 'Top level'}\n"
    if path:
        yield f"{' '.join((model.__doc__ or '').split())}\n"
    if rows:
        yield "| setting | value | default | meaning |\n| --- | --- | --- | --- |\n" + "\n".join(rows) + "\n"
    for inner_path, inner in nested:
        yield from _section(inner_path, inner)


def _header(path: str, name: str, field: FieldInfo) -> str:
    """The header of a subsection's table in TOML: `[a.b]`, `[a.b.<name>]` for each entry, `[[a.b]]` for a list."""
    inner = f"{path}.{name}".lstrip(".")
    origin = get_origin(field.annotation)
    if origin is tuple:
        return f"[[{inner}]]"
    return f"[{inner}.<name>]" if origin is dict else f"[{inner}]"


def _kind(field: FieldInfo) -> str:
    """What may stand there, in words."""
    return _words(field.annotation, field.metadata)


def _words(annotation: Any, metadata: list[Any]) -> str:
    arguments = [argument for argument in get_args(annotation) if argument is not NoneType]
    origin = get_origin(annotation)
    if origin is Literal:
        return " or ".join(f"`{json.dumps(value)}`" for value in arguments)
    if origin is dict:
        return "table of texts"
    if origin is tuple:
        return "list of texts"
    if origin is not None:
        return _words(arguments[0], metadata)
    names: dict[Any, str] = {bool: "true or false", int: "whole number", float: "number", str: "text"}
    return " ".join([names[annotation], *_limits(metadata)])


def _limits(metadata: list[Any]) -> Iterator[str]:
    least = next((item.ge for item in metadata if isinstance(item, Ge)), None)
    most = next((item.le for item in metadata if isinstance(item, Le)), None)
    if least is not None:
        yield f"from {least}"
    if most is not None:
        yield f"to {most}"
    for item in metadata:
        if isinstance(item, MaxLen):
            yield f"of at most {item.max_length} characters"
        if pattern := getattr(item, "pattern", None):
            escaped = pattern.replace("|", "\\|")
            yield f"like `{escaped}`"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is None:
        return "unset"
    return "none" if value in ((), {}) else f"`{json.dumps(value, ensure_ascii=False)}`"


if __name__ == "__main__":
    REFERENCE.write_text(render(), encoding="utf-8")
