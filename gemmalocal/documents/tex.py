"""LaTeX through pylatexenc: the words; formulas stay as they are written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from gemmalocal.documents.document import Content, SectionBuilder
from gemmalocal.documents.text import decode

LEVELS = ("part", "chapter", "section", "subsection", "subsubsection", "paragraph")
HEADING = re.compile(r"\\(" + "|".join(LEVELS) + r")\*?(?:\[[^\]]{0,500}\])?\s*\{")
TITLE = re.compile(r"\\title(?:\[[^\]]{0,500}\])?\s*\{")
COMMENT = re.compile(r"(?m)^[ \t]*%.*$\n?|[ \t]%.*$")  # within words % belongs to addresses
ADDRESS = re.compile(r"\\(?:url|href|path|nolinkurl)\{[^{}\n]*\}")
ASIDE = re.compile(r"(?s)\\begin\{(tikzpicture|comment|filecontents\*?|thebibliography)\}.*?\\end\{\1\}")


def read_tex(file: Path, password: str | None = None) -> Content:
    """The document's body, a section a heading; drawings, comments and the list of literature are left out."""
    text = COMMENT.sub("", decode(file.read_bytes()))
    text = ADDRESS.sub(lambda address: re.sub(r"(?<!\\)%", r"\%", address[0]), text)
    title = _plain(text[match.end() : _closed(text, match.end())]) if (match := TITLE.search(text)) else ""
    body = text.partition("\\begin{document}")[2].partition("\\end{document}")[0] or text
    body = ASIDE.sub("", body).replace("\\maketitle", "")
    sections, end = SectionBuilder(), 0
    for match in HEADING.finditer(body):
        if match.start() < end:
            continue
        sections.add(_plain(body[end : match.start()]))
        end = _closed(body, match.end())
        sections.heading(LEVELS.index(match[1]) + 1, _plain(body[match.end() : end]))
        end += 1
    sections.add(_plain(body[end:]))
    return sections.content(" ".join(title.split()))


def _closed(text: str, start: int) -> int:
    """Where the brace that was opened before `start` is closed."""
    depth = 1
    for match in re.compile(r"\\.|[{}]", re.DOTALL).finditer(text, start):
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if not depth:
            return match.start()
    return len(text)


def _plain(latex: str) -> str:
    from pylatexenc.latex2text import LatexNodes2Text

    reader: Any = LatexNodes2Text(math_mode="verbatim", keep_comments=False, strict_latex_spaces=False)
    return re.sub(r"\n{3,}", "\n\n", str(reader.latex_to_text(latex, tolerant_parsing=True))).strip()
