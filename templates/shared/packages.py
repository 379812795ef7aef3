"""The zips of a build: a layer's has locked packages, a function's those of our modules that it reaches, and settings.

They stand beside the catalogue of functions because they are the other half of one: what is deployed. This calls no
AWS, reads no clock and no environment, so that the same sources give the same bytes.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from uv import find_uv_bin

from templates.shared.limits import BuildError
from templates.shared.modules import reachable

Target = Literal["lambda", "host"]
"""`lambda`: the deployed runtime, arm64 and Python 3.13. `host`: the interpreter that runs this build."""

LAMBDA_PLATFORM = ("--python-platform", "aarch64-manylinux_2_28", "--python-version", "3.13")

LEVELS: dict[Target, int] = {"lambda": 6, "host": 1}
"""zlib's: what is deployed is small; what runs here is made in a third of the time and an eighth larger."""

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time a zip entry can have, given to all."""

TRIMMED = re.compile(
    r"(^|/)(__pycache__|tests?)/|^bin/|^\.lock$|\.(pyc|pyi|pyx|pxd|pxi|h|hpp|c|cc|cmake)$"
    r"|\.dist-info/(RECORD|INSTALLER|REQUESTED|uv_cache\.json|direct_url\.json)$"
    r"|^aws_lambda_powertools/event_handler/openapi/swagger_ui/"
    r"|^pyarrow/(include|src)/|^pyarrow/(lib)?(arrow_python_flight|arrow_flight|_flight|_substrait|_pyarrow_cpp_tests)\b"
    r"|^pyarrow/lib\w+\.so(\.\d+\.\d+\.\d+)?$"  # the same libraries again; modules link `lib….so.2600`
)
"""Paths below the installed packages that no function reads: tests, headers, consoles, pyarrow's Flight (32 MB)."""

IN_LAYER = "python/"
"""Where Python looks in a layer: https://docs.aws.amazon.com/lambda/latest/dg/packaging-layers.html"""


def write_function(lambdas: Path, function: str, settings_json: bytes, out: Path) -> int:
    """Write the zip of `lambdas/<function>` to `out` and return its unzipped bytes. BuildError without a handler."""
    if not (lambdas / function / "handler.py").is_file():
        raise BuildError(
            f"lambdas/{function}/handler.py does not exist, but the catalogue has the function {function}."
        )
    modules = reachable(lambdas, f"{function}.handler")
    pages = filter(Path.is_file, (path.with_suffix(".html") for path in modules))  # a module's template is beside it
    own = {str(path.relative_to(lambdas)): path.read_bytes() for path in (*modules, *pages)}
    return _write(out, {**own, "settings.json": settings_json}, LEVELS["lambda"])


def write_layer(lock: Path, target: Target, cache: Path, out: Path) -> int:
    """Write the zip of the packages that the lock file names to `out` and return its unzipped bytes.

    Installing and compressing takes seconds, so that `cache` keeps what came of it, by what decides its bytes; `out` is
    a link to that where the file system has links. Raises BuildError when the packages cannot be installed.
    """
    platform = " ".join(LAMBDA_PLATFORM) if target == "lambda" else f"{sys.version} {sysconfig.get_platform()}"
    rules = f"{platform} {TRIMMED.pattern} {IN_LAYER} {LEVELS[target]}"
    kept = cache / f"layer-{target}-{hashlib.sha256(lock.read_bytes() + rules.encode()).hexdigest()[:20]}.zip"
    if not kept.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            packages, unfinished = Path(scratch, "packages"), Path(scratch, "layer.zip")
            _install(lock, target, packages)
            _write(unfinished, _contents(packages), LEVELS[target])
            unfinished.replace(kept)  # at once, so that an interrupted build leaves nothing half written
    out.unlink(missing_ok=True)
    try:
        os.link(kept, out)
    except OSError:  # another file system, or one without links
        shutil.copyfile(kept, out)
    with zipfile.ZipFile(out) as archive:
        return sum(entry.file_size for entry in archive.filelist)


def _write(path: Path, files: Mapping[str, bytes], level: int) -> int:
    with zipfile.ZipFile(path, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, date_time=EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o100644 << 16  # a regular file that everybody may read
            archive.writestr(entry, files[name], compresslevel=level)
    return sum(map(len, files.values()))


def _contents(packages: Path) -> dict[str, bytes]:
    """What functions need of the installed packages, by its path in the layer."""
    paths = {str(path.relative_to(packages)): path for path in packages.rglob("*") if path.is_file()}
    return {f"{IN_LAYER}{name}": path.read_bytes() for name, path in paths.items() if not TRIMMED.search(name)}


def _install(requirements: Path, target: Target, packages: Path) -> None:
    """Install exactly what the lock file names, as wheels, with their hashes checked."""
    place = LAMBDA_PLATFORM if target == "lambda" else ("--python", sys.executable)
    command = [find_uv_bin(), "pip", "install", "--quiet", "--require-hashes", "--no-deps", "--only-binary", ":all:"]
    command += ["--no-config", "--target", str(packages), "--requirements", str(requirements), *place]
    packages.mkdir()
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise BuildError(f"Packages of {requirements} cannot be installed for {target}:\n{result.stderr.strip()}")
