"""Layers across a restart with `--keep`: their content is kept in files, as MiniStack keeps the code of functions.

MiniStack writes it into the record of its state, as text: hundreds of megabytes, for which a stop may have no time.
"""

from collections.abc import Iterator
from typing import Any

State = dict[str, Any]


def install() -> None:
    """Replace contents by the names of their files when the state is kept, and read the files when it comes back."""
    from ministack.services import lambda_svc

    get_state, load_state = lambda_svc.get_state, lambda_svc.load_persisted_state

    def get_state_and_write_files() -> State:
        state: State = get_state()
        for version in _versions(state):
            version["code_zip"] = version.pop("_zip_data")
            lambda_svc._externalize_code_zip(version, set())
        return state

    def read_files_and_load_state(state: State) -> None:
        for version in _versions(state):
            lambda_svc._internalize_code_zip(version, {})
            version["_zip_data"] = version.pop("code_zip")
        load_state(state)

    lambda_svc.get_state, lambda_svc.load_persisted_state = get_state_and_write_files, read_files_and_load_state


def _versions(state: State) -> Iterator[dict[str, Any]]:
    """Every version of every layer, in all accounts and regions; the state has copies of its own."""
    for layer in state["layers"]._data.values():
        yield from layer["versions"]
