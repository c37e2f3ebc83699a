"""Reading measured: what each file gives beside the best other library, and pages a second beside markitdown.

    python -m tests.bench.documents FOLDER [--copies PAIRS.csv]

PAIRS.csv has rows of text, source and label, 0 for unrelated: the corpus of Clough and Stevenson (2011), as Debian's
python3-pattern has it.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gemmalocal.documents import packed, quality
from gemmalocal.documents.duplicates import NearDuplicates
from gemmalocal.documents.find import find
from gemmalocal.documents.read import read
from gemmalocal.errors import DocumentError

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
    """A line a file: read or refused, its letters, the other library's, lost spaces, seconds."""
    for place in find([folder]):
        start = time.perf_counter()
        try:
            document = read(place)
        except DocumentError as error:
            print(f"refused  {error.message.removeprefix(folder).lstrip('/')} {error.hint}")
            continue
        seconds = time.perf_counter() - start
        name, most = best(Path(place))
        ours = letters(document.text)
        share = f"{ours / most:6.3f} of {name}" if most else ""
        lost = quality.lost_spaces(document.text)
        print(f"read     {Path(place).name:40} {ours:9} letters {lost:7.2%} lost {seconds:6.2f} s  {share}")
        for warning in document.warnings:
            print(f"         {warning}")


def race(folder: str) -> None:
    """Pages of the folder's PDFs a second, ours and markitdown's, in turns."""
    if importlib.util.find_spec("markitdown") is None:
        print("markitdown is not installed: pip install 'markitdown[pdf]' to compare")
        return
    import pypdfium2
    from markitdown import MarkItDown

    theirs: Any = MarkItDown()
    files = [place for place in find([folder]) if place.endswith(".pdf") and _readable(place)]
    pages = sum(len(pypdfium2.PdfDocument(place)) for place in files)
    spent = {"gemmalocal": 0.0, "markitdown": 0.0}
    for place in files:
        for name, reader in (("gemmalocal", read), ("markitdown", theirs.convert)):
            start = time.perf_counter()
            reader(place)
            spent[name] += time.perf_counter() - start
    for name, seconds in spent.items():
        print(f"{name:12} {pages / seconds:7.1f} pages/s ({pages} pages in {seconds:.1f} s)")
    print(f"ratio {spent['markitdown'] / spent['gemmalocal']:.1f}")


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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--copies")
    parser.add_argument("--race", action="store_true", help="pages a second beside markitdown")
    wanted = parser.parse_args()
    read_folder(wanted.folder)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "linux" else 1 << 30)
    print(f"peak memory of all this, the other libraries' too: {peak:.2f} GB")
    if wanted.copies:
        copies(wanted.copies)
    if wanted.race:
        race(wanted.folder)


if __name__ == "__main__":
    main()
