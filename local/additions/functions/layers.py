"""A function's layers: unpacked once for this machine, and found after the function's own code.

On AWS, Python looks for a module in the function's code, then in `/opt/python`, then in the runtime: the precedence
that the runtime's `/var/runtime/bootstrap.py` states. MiniStack puts layers first, and unpacks them anew for every
worker: a hundred megabytes and more for each function that is called. Here a folder has them for every emulator, as
the layers' zips are kept for every build: a folder that stays has what Python compiled of it as well.
"""

import hashlib
import io
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

from local.process import ROOT, locked

UNPACKED = ROOT / "build" / ".cache" / "layers"

Config = dict[str, Any]


def install() -> None:
    """Start Python workers with their layers on the search path; MiniStack then finds no layer to unpack."""
    from ministack.core import lambda_runtime

    spawn = lambda_runtime.Worker._spawn

    def spawn_with_layers(worker: Any) -> None:
        config = worker.config
        worker.config = _with_layers(config)
        try:
            spawn(worker)
        finally:
            worker.config = config

    lambda_runtime.Worker._spawn = spawn_with_layers


def _with_layers(config: Config) -> Config:
    """The function's configuration with its layers as the interpreter's `PYTHONPATH`, which comes after the code."""
    from ministack.core.lambda_runtime import _account_region_from_function_config
    from ministack.core.responses import request_scope

    with request_scope(*_account_region_from_function_config(config)):
        folders = [_unpacked(layer) for layer in config.get("Layers") or ()]
    if not folders:
        return config
    variables = config.get("Environment", {}).get("Variables", {})
    path = os.pathsep.join(str(folder / "python") for folder in folders)
    return {**config, "Layers": [], "Environment": {"Variables": {**variables, "PYTHONPATH": path}}}


def _unpacked(layer: Config) -> Path:
    """The folder of a layer version, by its content, of which all workers read."""
    from ministack.services import lambda_svc

    content = lambda_svc._resolve_layer_zip(layer)
    if content is None:
        raise RuntimeError(f"Layer {layer['Arn']} has no content.")
    UNPACKED.mkdir(parents=True, exist_ok=True)
    folder = UNPACKED / hashlib.sha256(content).hexdigest()
    with locked(UNPACKED / "lock"):  # others may want it at the same time
        if not folder.is_dir():
            unfinished = folder.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                archive.extractall(unfinished)
            unfinished.rename(folder)  # at once, so that an interrupted one is never read
    return folder
