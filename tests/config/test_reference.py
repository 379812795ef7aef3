"""The generated reference of the settings."""

import pytest

from config.reference import REFERENCE, render
from config.settings import Settings, nested_model


def fields(model=Settings):
    for name, field in model.model_fields.items():
        yield name, field
        if inner := nested_model(field.annotation):
            yield from fields(inner)


def test_the_page_in_docs_is_up_to_date():
    assert REFERENCE.read_text(encoding="utf-8") == render(), "run: python -m config.reference"


@pytest.mark.parametrize(("name", "field"), list(fields()))
def test_every_setting_says_what_it_means(name, field):
    assert field.description
    assert field.description.endswith(".")
    if nested_model(field.annotation) is None:
        assert f"| `{name}` |" in render()
        assert field.description in render()
