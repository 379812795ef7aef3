"""A lake of its own for each test, on the embedded AWS."""

import pytest

from tests import lake as lakes


@pytest.fixture
def lake(monkeypatch: pytest.MonkeyPatch) -> lakes.Lake:
    for name, value in lakes.environ().items():
        monkeypatch.setenv(name, value)
    return lakes.Lake()
