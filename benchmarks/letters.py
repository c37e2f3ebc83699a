"""Letters counted: what pdftotext (PDF) and markitdown (the others) find in real documents, and we do not.

    python -m benchmarks.letters FOLDER...

A FOLDER that is not there is filled (benchmarks/corpus.py). Running heads are aside, as is what is not text: links of
web pages (their navigation), and what markitdown writes itself. MARKITDOWN names a Python that has it, if this has not.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks import corpus
from gemmalocal.documents import heads, packed
from gemmalocal.documents.find import find_documents
from gemmalocal.documents.read import read
from gemmalocal.errors import DocumentError

BY_MARKITDOWN = (".docx", ".pptx", ".html", ".epub")
CONVERT = """
import json, sys
from markitdown import MarkItDown
theirs = MarkItDown()
for name in sys.stdin.read().splitlines():
    try:
        text = theirs.convert(name).text_content
    except Exception:
        text = None
    print(json.dumps([name, text]), flush=True)
"""
NOT_TEXT = re.compile(  # comments, pictures, addresses, and markitdown's own words
    r"<!--.*?-->|!\[[^\]]*\]\([^)]*\)|(?<=\])\([^)]*\)|<https?:[^>]*>|(?m:^### (?:Notes|Chart):?)|(?m:^\| Category )"
    r"|\bNone\b|(?<=\d)\.0\b",
    re.DOTALL,
)
LINK = re.compile(r"\[[^\[\]]*\]\([^)]*\)")
MOST = 0.01  # letters that may be missing
RUN = 3  # words that follow each other, by which the order is measured


class Measured(NamedTuple):
    """Of a document: letters that the other finds, the share that we lack, and the share of its runs that we have."""

    name: str
    letters: int
    missing: float
    order: float
    warnings: tuple[str, ...]


def measure(place: str, theirs: str) -> Measured:
    """Read a document and count."""
    with _heads_kept():
        document = read(place)
    ours = f"{document.title} {document.text}"
    letters, words = _letters(theirs), _runs(theirs)
    missing = sum((letters - _letters(ours)).values()) / max(sum(letters.values()), 1)
    order = sum((words & _runs(ours)).values()) / max(sum(words.values()), 1)
    return Measured(Path(place).name, sum(letters.values()), missing, order, document.warnings)


@contextmanager
def _heads_kept() -> Iterator[None]:
    """Running heads are left in while they are counted."""
    strip = heads.strip
    heads.strip = lambda pages: (pages.lines, "")
    try:
        yield
    finally:
        heads.strip = strip


def _letters(text: str) -> Counter[str]:
    return Counter(letter for letter in unicodedata.normalize("NFKC", text) if letter.isalnum())


def _runs(text: str) -> Counter[tuple[str, ...]]:
    words = re.findall(r"\w+", unicodedata.normalize("NFKC", text).lower())
    return Counter(tuple(words[at : at + RUN]) for at in range(len(words) - RUN + 1))


def by_pdftotext(places: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each PDF with its text by pdftotext."""
    if shutil.which("pdftotext") is None:
        print("pdftotext is not there: apt-get install poppler-utils")
        return
    for place in places:
        with packed.unpacked(Path(place)) as file:
            done = subprocess.run(["pdftotext", "-enc", "UTF-8", str(file), "-"], capture_output=True, check=False)
        yield place, done.stdout.decode("utf-8", "replace")


def by_markitdown(places: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each other file with its text by markitdown, in its own Python."""
    python = os.environ.get("MARKITDOWN", sys.executable)
    done = subprocess.run([python, "-c", CONVERT], input="\n".join(places), capture_output=True, text=True, check=False)
    if done.returncode:
        print("markitdown is not there: pip install 'markitdown[docx,pptx]'")
    for line in done.stdout.splitlines():
        place, text = json.loads(line)
        if text is not None:
            shown = NOT_TEXT.sub("", LINK.sub("", text) if place.endswith(".html") else text)
            yield place, shown.replace("\\", "")


def table(folders: Sequence[str]) -> None:
    """A line a document, the worst first, and what they come to."""
    places = find_documents(folders)
    pdfs = [place for place in places if place.removesuffix(".gz").endswith(".pdf")]
    others = [place for place in places if place.endswith(BY_MARKITDOWN)]
    rows: list[Measured] = []
    unread = 0
    for place, theirs in (*by_pdftotext(pdfs), *by_markitdown(others)):
        if not _letters(theirs):
            continue
        try:
            rows.append(measure(place, theirs))
        except DocumentError as error:
            print(f"refused  {error.message}")
            unread += "encrypted" not in error.message
    for row in sorted(rows, key=lambda row: -row.missing):
        print(f"{row.name:44} {row.letters:9} letters {row.missing:7.2%} missing {row.order:7.1%} in order")
        for warning in row.warnings:
            print(f"         {warning}")
    worse = sum(row.missing > MOST for row in rows)
    letters = sum(row.letters for row in rows)
    lost = sum(row.letters * row.missing for row in rows)
    told = f"{len(rows)} documents, {unread} with text not read, {worse} lack more than {MOST:.0%}"
    print(f"{told}; of all letters {lost / max(letters, 1):.3%}")


def main() -> None:
    """All of it, on the folders that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+")
    folders = parser.parse_args().folders
    for folder in folders:
        if not Path(folder).is_dir():
            corpus.more(Path(folder))
    table(folders)


if __name__ == "__main__":
    main()
