"""What is read of a file, beside the best other library: the same letters, within 2 %, and no lost word spaces."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.documents import best, letters
from gemmalocal.documents import quality
from gemmalocal.documents.read import read
from tests.documents import samples
from tests.documents.test_office import slides, word
from tests.documents.test_text import ARTICLE, NAVIGATION

WORDS = ("apple", "bread", "chalk", "drum", "eagle", "fern", "glass", "hill")
LINES = [
    f"The {WORDS[n // 30]} in the {WORDS[n % 8]} of room {n} is weighed again, and found too light." for n in range(240)
]


def page(path: Path) -> Path:
    path.write_text(f"<html><body>{NAVIGATION}<main><h1>The Pump</h1>{ARTICLE}</main></body></html>")
    return path


def paper(path: Path) -> Path:
    return samples.pdf(path, [[f"The running head {n}", *LINES[n * 40 : n * 40 + 40]] for n in range(6)])


@pytest.mark.parametrize(("name", "make"), [("a.pdf", paper), ("a.docx", word), ("a.pptx", slides), ("a.html", page)])
def test_no_letters_are_lost(tmp_path: Path, name: str, make: Callable[[Path], Path]) -> None:
    file = make(tmp_path / name)
    text = read(str(file)).text
    library, most = best(file)
    assert most > 10, f"{library} reads nothing"
    assert letters(text) >= 0.98 * most
    assert quality.lost_spaces(text) == 0
    assert "running head" not in text
