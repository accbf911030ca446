"""Finds the program `traffic-mirror`, which the wheel installs beside the interpreter."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path

from ._errors import LabStartError

NAME = "traffic-mirror"
VARIABLE = "TRAFFIC_MIRROR_BINARY"


def find_binary(binary: str | os.PathLike[str] | None = None) -> str:
    """Returns the path of the program.

    The first of these that exists: `binary`, the environment variable TRAFFIC_MIRROR_BINARY, the
    folders into which pip installs programs, and PATH. A path that is given, but is not a program,
    is an error.
    """
    for origin, given in (("binary", binary), (VARIABLE, os.environ.get(VARIABLE))):
        if given:
            return _executable(origin, os.fspath(given))
    folders = _script_folders()
    for folder in folders:
        path = os.path.join(folder, NAME)
        if os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    found = shutil.which(NAME)
    if found:
        return found
    raise LabStartError(
        "binary_not_found",
        f"no program `{NAME}` in {', '.join(folders)} or PATH: install the wheel with "
        f"`pip install {NAME}`, or set {VARIABLE} to the path of the program",
    )


def _executable(origin: str, path: str) -> str:
    if not os.path.isfile(path):
        raise LabStartError("binary_not_found", f"{origin} {path!r}: no such file")
    if not os.access(path, os.X_OK):
        raise LabStartError("binary_not_found", f"{origin} {path!r}: the file is not executable")
    return path


def _script_folders() -> list[str]:
    """The folders into which pip installs the programs of a wheel, without duplicates."""
    folders: list[str | None] = [
        sysconfig.get_path("scripts"),
        sysconfig.get_path("scripts", vars={"base": sys.base_prefix}),
        *_folders_beside_the_package(),
        sysconfig.get_path("scripts", scheme=_user_scheme()),
    ]
    return list(dict.fromkeys(folder for folder in folders if folder))


def _folders_beside_the_package() -> list[str]:
    """The folders of `pip install --target` and `pip install --prefix`."""
    parents = Path(__file__).resolve().parent.parents
    folders = [str(parents[0] / "bin")]
    # PREFIX/lib/python3.12/site-packages/traffic_mirror
    if parents[0].name == "site-packages" and len(parents) > 3:
        folders.append(str(parents[3] / "bin"))
    return folders


def _user_scheme() -> str:
    if sys.version_info >= (3, 10):
        return sysconfig.get_preferred_scheme("user")
    return "posix_user"
