"""Where the program is found."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from traffic_mirror import LabStartError, _binary, find_binary


def test_a_given_path_comes_first_then_the_variable(
    program: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = program("")
    monkeypatch.setenv("TRAFFIC_MIRROR_BINARY", "/no/such/file")
    assert find_binary(path) == path
    with pytest.raises(LabStartError, match="TRAFFIC_MIRROR_BINARY '/no/such/file': no such file"):
        find_binary()
    monkeypatch.setenv("TRAFFIC_MIRROR_BINARY", path)
    assert find_binary() == path


def test_a_file_that_is_no_program_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("text")
    with pytest.raises(LabStartError, match="the file is not executable"):
        find_binary(tmp_path / "text")


def test_the_folders_of_pip_come_before_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRAFFIC_MIRROR_BINARY", raising=False)
    for folder in ["scripts", "path"]:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "traffic-mirror").write_text("#!/bin/sh\n")
        (tmp_path / folder / "traffic-mirror").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setattr(_binary, "_script_folders", lambda: [str(tmp_path / "scripts")])
    assert find_binary() == str(tmp_path / "scripts" / "traffic-mirror")
    (tmp_path / "scripts" / "traffic-mirror").unlink()
    assert find_binary() == str(tmp_path / "path" / "traffic-mirror")
    (tmp_path / "path" / "traffic-mirror").unlink()
    with pytest.raises(LabStartError, match="pip install traffic-mirror") as caught:
        find_binary()
    assert caught.value.code == "binary_not_found"


def test_the_folders_of_pip() -> None:
    folders = _binary._script_folders()
    assert str(Path(sys.prefix) / "bin") in folders
    assert len(set(folders)) == len(folders)


def test_the_module_runs_the_program(binary: str) -> None:
    command = [sys.executable, "-m", "traffic_mirror", "--version"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert printed.startswith("traffic-mirror ")
