"""The Python blocks of the documents, which test_documents.py executes.

A block that begins with ```python belongs to its document. The word `file=NAME` stores it as a
module for the other blocks of the page, and `no-run: REASON` does not execute it.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "docs/testing-without-aws.md", "python/README.md")


class Block(NamedTuple):
    """A block of Python, and what the words after ```python say."""

    page: str
    line: int
    source: str
    file: str | None
    no_run: str | None

    @property
    def name(self) -> str:
        """The page and line, for messages."""
        return f"{self.page}:{self.line}"


def blocks(page: str) -> list[Block]:
    """All Python blocks of a page."""
    found = []
    lines = enumerate((ROOT / page).read_text(encoding="utf-8").splitlines(), start=1)
    for number, line in lines:
        if not line.startswith("```"):
            continue
        words = line[3:]
        inside = []
        for _, content in lines:
            if content == "```":
                break
            inside.append(content)
        if words.split(" ")[0] == "python":
            found.append(_block(page, number, words, "\n".join(inside) + "\n"))
    return found


def _block(page: str, line: int, words: str, source: str) -> Block:
    _, _, reason = words.partition("no-run: ")
    if reason:
        return Block(page, line, source, None, reason)
    rest = words.split(" ")[1:]
    if rest and not rest[0].startswith("file="):
        raise ValueError(f"{page}:{line}: `{words}`: expected file=NAME or no-run: REASON")
    return Block(page, line, source, rest[0][len("file=") :] if rest else None, None)
