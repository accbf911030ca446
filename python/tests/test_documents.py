"""Executes the Python blocks of README.md and the pages, each in the folder of its page."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from documents import PAGES, ROOT, Block, blocks

pytest.importorskip("boto3", reason="NOT RUN: boto3 is not installed")


@pytest.mark.parametrize("page", PAGES)
def test_every_python_block_of_a_document_runs(
    page: str, binary: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    for name in ["pcaps", "contrib", "docs"]:
        (tmp_path / name).symlink_to(ROOT / name)
    found = blocks(page)
    for block in found:
        if block.file:
            (tmp_path / block.file).write_text(block.source, encoding="utf-8")
        elif block.no_run:
            print(f"NOT RUN: {block.name}: {block.no_run}")
    failures = [
        failure
        for block in found
        if not block.file and not block.no_run
        for failure in run(block, binary, tmp_path, pytestconfig)
    ]
    assert not failures, "\n\n".join(failures)


def run(block: Block, binary: str, folder: Path, config: pytest.Config) -> list[str]:
    """Runs a block, with pytest if it has tests. Returns the output if it failed."""
    path = folder / f"test_line_{block.line}.py"
    path.write_text(block.source, encoding="utf-8")
    command = [sys.executable, str(path)]
    if "def test_" in block.source:
        is_installed = config.pluginmanager.has_plugin("traffic_mirror")
        plugin = [] if is_installed else ["-p", "traffic_mirror.pytest_plugin"]
        command = [sys.executable, "-m", "pytest", "-q", *plugin, str(path)]
    ended = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "TRAFFIC_MIRROR_BINARY": binary},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if ended.returncode == 0:
        return []
    return [f"{block.name}: exit code {ended.returncode}\n{ended.stdout}{ended.stderr}"]


def test_blocks_are_read_with_their_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "```python\na\n\nb\n```\n```sh\nc\n```\n```python file=d.py\ne\n```\n"
    text += "```python no-run: needs an account\nf\n```\n"
    (tmp_path / "page.md").write_text(text)
    monkeypatch.setattr("documents.ROOT", tmp_path)
    assert blocks("page.md") == [
        Block("page.md", 1, "a\n\nb\n", None, None),
        Block("page.md", 9, "e\n", "d.py", None),
        Block("page.md", 12, "f\n", None, "needs an account"),
    ]
    (tmp_path / "page.md").write_text("```python fast\n```\n")
    with pytest.raises(ValueError, match="page.md:1: `python fast`: expected file=NAME"):
        blocks("page.md")
