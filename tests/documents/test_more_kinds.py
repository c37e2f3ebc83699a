"""Spreadsheets, OpenDocument, rich text, notebooks, mail, subtitles, LaTeX, outlines, code: each with a small file."""

from __future__ import annotations

import datetime
import json
import mailbox
import zipfile
from email.message import EmailMessage
from pathlib import Path

import pytest
import xlsxwriter

from gemmalocal.documents.document import Document
from gemmalocal.documents.read import read, read_each
from gemmalocal.errors import DocumentError
from gemmalocal.records import Rejected

WORDS = "The pump wants oil in the spring."
ODF = (
    '<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" '
    'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" '
    'xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0" '
    'xmlns:presentation="urn:oasis:names:tc:opendocument:xmlns:presentation:1.0">'
    "<office:body>%s</office:body></office:document-content>"
)
WRITTEN = (
    "<office:text><text:tracked-changes><text:changed-region><text:p>deleted</text:p></text:changed-region>"
    '</text:tracked-changes><text:h text:outline-level="1">Pumps</text:h><text:p>Oil<text:s text:c="2"/>it'
    "<text:line-break/>well<office:annotation><text:p>a remark</text:p></office:annotation>.<text:note>"
    "<text:note-citation>1</text:note-citation><text:note-body><text:p>In spring.</text:p></text:note-body>"
    '</text:note></text:p><text:section><text:h text:outline-level="2">Parts</text:h><text:list><text:list-item>'
    "<text:p>a valve</text:p><text:list><text:list-item><text:p>of brass</text:p></text:list-item></text:list>"
    "</text:list-item></text:list></text:section><table:table><table:table-row><table:table-cell><text:p>a</text:p>"
    "</table:table-cell><table:table-cell><text:p>b</text:p></table:table-cell></table:table-row></table:table>"
    "</office:text>"
)


def odf(path: Path, kind: str, body: str, *more: tuple[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", f"application/vnd.oasis.opendocument.{kind}")
        for name, content in (("content.xml", ODF % body), *more):
            archive.writestr(name, content)
    return path


def sections_of(path: Path) -> list[tuple[str, str]]:
    return [(section.heading, section.text) for section in read(str(path)).sections]


def each(path: Path) -> list[tuple[str, str]]:
    """What each document is called after its file, and its text; of what is refused why."""
    items = list(read_each(str(path)))
    return [
        (item.source.removeprefix(str(path)), item.text if isinstance(item, Document) else item.reason)
        for item in items
    ]


def test_each_sheet_is_a_table_and_each_row_a_document(tmp_path: Path) -> None:
    with xlsxwriter.Workbook(tmp_path / "a.xlsx") as book:
        parts = book.add_worksheet("Parts")
        parts.write_row(0, 0, ["name", "count", "price", "since", "new"])
        parts.write_row(1, 0, ["valve", 3, 2.5])
        parts.write_datetime(1, 3, datetime.datetime(2024, 5, 17), book.add_format({"num_format": "yyyy-mm-dd"}))
        parts.write_boolean(1, 4, True)
        parts.write_row(3, 0, ["bolt", 2041])
        titled = book.add_worksheet("Titled")
        titled.write(0, 0, "Prices of the year")
        titled.write_row(2, 0, ["name", "price"])
        titled.write_row(3, 0, ["valve", 7])
        book.add_worksheet("Figures").write_column(0, 0, [1, 2])
        years = book.add_worksheet("Years")
        years.write_row(0, 0, ["", 2023, 2024, "sum", "sum"])
        years.write_row(1, 0, ["oil", 1, 2, 3, 4])
        hidden = book.add_worksheet("Lists")
        hidden.write(0, 0, "secret")
        hidden.hide()
        book.add_worksheet("Empty")
    assert each(tmp_path / "a.xlsx") == [
        (":Parts:2", "name: valve\ncount: 3\nprice: 2.5\nsince: 2024-05-17\nnew: TRUE"),
        (":Parts:4", "name: bolt\ncount: 2041"),
        (":Titled:4", "name: valve\nprice: 7"),
        (":Figures:1", "1"),
        (":Figures:2", "2"),
        (":Years:2", "oil\n2023: 1\n2024: 2\nsum: 3\nsum (5): 4"),
        (":Lists", "is a hidden sheet"),
    ]


def test_a_sheet_whose_cells_lie_far_apart(tmp_path: Path) -> None:
    with xlsxwriter.Workbook(tmp_path / "a.xlsx") as book:
        sheet = book.add_worksheet("A")
        sheet.write(0, 0, "name")
        sheet.write(1, 0, "valve")
        sheet.write(1_048_575, 16_383, "lost")
    assert each(tmp_path / "a.xlsx") == [("", "has a sheet of 17,179,869,184 cells, most of them empty")]


def test_an_opendocument_spreadsheet(tmp_path: Path) -> None:
    cell = '<table:table-cell office:value-type="string"><text:p>%s</text:p></table:table-cell>'
    rows = "".join(
        f"<table:table-row>{''.join(cell % word for word in row)}</table:table-row>"
        for row in (("text", "n"), (WORDS, "x"))
    )
    body = f'<office:spreadsheet><table:table table:name="Pumps">{rows}</table:table></office:spreadsheet>'
    manifest = '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>'
    file = odf(tmp_path / "a.ods", "spreadsheet", body, ("META-INF/manifest.xml", manifest))
    assert each(file) == [(":Pumps:2", WORDS)]


def test_an_opendocument_text(tmp_path: Path) -> None:
    expected = [
        ("Pumps", "Pumps\n\nOil  it\nwell."),
        ("Pumps > Parts", "Parts\n\n- a valve\n  - of brass\n\na | b"),
        ("Footnotes", "In spring."),
    ]
    assert sections_of(odf(tmp_path / "a.odt", "text", WRITTEN)) == expected
    (tmp_path / "b.fodt").write_text(ODF % WRITTEN)
    assert sections_of(tmp_path / "b.fodt") == expected
    locked = odf(tmp_path / "c.odt", "text", WRITTEN, ("META-INF/manifest.xml", "<manifest:encryption-data/>"))
    with pytest.raises(DocumentError, match="is encrypted"):
        read(str(locked))


def test_opendocument_slides(tmp_path: Path) -> None:
    frame = "<draw:frame %s><draw:text-box><text:p>%s</text:p></draw:text-box></draw:frame>"
    notes = f"<presentation:notes>{frame % ('', 'Speak slowly.')}</presentation:notes>"
    title = frame % ('presentation:class="title"', "Pumps")
    slides = f"<draw:page>{frame % ('', WORDS)}{title}{notes}</draw:page><draw:page>{frame % ('', 'More.')}</draw:page>"
    file = odf(tmp_path / "a.odp", "presentation", f"<office:presentation>{slides}</office:presentation>")
    sections = read(str(file)).sections
    assert [(part.page, part.heading) for part in sections] == [(1, "Pumps"), (2, "Slide 2")]
    assert sections[0].text == f"{WORDS}\n\nPumps\n\nSpeak slowly."


def test_rich_text(tmp_path: Path) -> None:
    table = rb"\trowd\cellx100\cellx200\intbl a\cell b\cell\row\pard"
    (tmp_path / "a.rtf").write_bytes(
        rb"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}}{\*\generator x;}Gr\'f6\'dfe \u8364? {\b bold}\par "
        + table
        + rb" c|d\par}"
    )
    assert read(str(tmp_path / "a.rtf")).text == "Größe € bold\na | b\nc|d"


def test_a_notebook(tmp_path: Path) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Pumps\n", "Oil them."]},
        {
            "cell_type": "code",
            "source": "print('# no heading')",
            "outputs": [{"text": ["# no heading\n"]}, {"data": {"text/plain": "3", "image/png": "abc"}}],
        },
        {"cell_type": "code", "source": ""},
        {"cell_type": "markdown", "source": "## Valves\nOf brass."},
    ]
    book = {"cells": cells, "metadata": {"kernelspec": {"language": "python"}}, "nbformat": 4}
    (tmp_path / "a.ipynb").write_text(json.dumps(book))
    code = "```python\nprint('# no heading')\n```\n\n```\n# no heading\n```\n\n```\n3\n```"
    assert sections_of(tmp_path / "a.ipynb") == [
        ("Pumps", f"# Pumps\n\nOil them.\n\n{code}"),
        ("Pumps > Valves", "## Valves\n\nOf brass."),
    ]
    for number, content in enumerate(("[]", "{", '{"cells": 3}', '{"cells": [null, {"cell_type": 3}]}', "[" * 100_000)):
        (tmp_path / f"{number}.ipynb").write_text(content)
        with pytest.raises(DocumentError):
            read(str(tmp_path / f"{number}.ipynb"))


def message(subject: str, text: str, page: str = "") -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "Ada <ada@example.org>", "bob@example.org", subject
    if text:
        mail.set_content(text)
    if page:
        mail.add_alternative(page, subtype="html") if text else mail.set_content(page, subtype="html")
    return mail


def test_a_message(tmp_path: Path) -> None:
    mail = message("Größe der Pumpe", f"{WORDS}\n", "<p>the same</p>")
    mail.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="plan.pdf")
    (tmp_path / "a.eml").write_bytes(mail.as_bytes())
    document = read(str(tmp_path / "a.eml"))
    head = "From: Ada <ada@example.org>\nTo: bob@example.org\nSubject: Größe der Pumpe"
    assert (document.title, document.text) == ("Größe der Pumpe", f"{head}\n\n{WORDS}")
    assert document.warnings == ("Attachments, which are not read: plan.pdf.",)
    (tmp_path / "b.eml").write_bytes(message("Page", "", f"<html><body><p>{WORDS}</p></body></html>").as_bytes())
    assert read(str(tmp_path / "b.eml")).text.endswith(WORDS)


def test_a_mailbox(tmp_path: Path) -> None:
    box = mailbox.mbox(tmp_path / "mail.mbox")
    for mail in (message("One", WORDS), message("Two", "From here on\n>From there"), message("None", "")):
        box.add(mail)
    box.close()
    places = each(tmp_path / "mail.mbox")
    assert [place for place, _ in places] == [":1", ":2", ":3"]
    assert places[0][1].endswith(WORDS)
    assert "From here on" in places[1][1]
    assert places[2][1].startswith("is empty")
    assert len(read(str(tmp_path / "mail.mbox")).sections) == 2
    (tmp_path / "Inbox").write_bytes((tmp_path / "mail.mbox").read_bytes())
    assert len([item for item in read_each(str(tmp_path / "Inbox")) if not isinstance(item, Rejected)]) == 2


def test_subtitles(tmp_path: Path) -> None:
    (tmp_path / "a.srt").write_text(
        "\ufeff1\r\n00:00:01,000 --> 00:00:02,000\r\n<i>The pump</i>\r\nwants oil.\r\n\r\n"
        "2\r\n00:06:00,500 --> 00:06:02,000\r\n{\\an8}In spring.\r\n\r\n"
        "3\r\n00:06:03,000 --> 00:06:04,000\r\nIn spring.\r\n"
    )
    (tmp_path / "b.vtt").write_text(
        "WEBVTT\nKind: captions\n\nNOTE made by hand\n\nSTYLE\n::cue {}\n\n00:01.000 --> 00:02.000 align:start\n"
        "The<00:01.500><c> pump</c>\n\nid\n00:02.000 --> 00:03.000\nThe pump\nwants oil.\n"
    )
    assert sections_of(tmp_path / "a.srt") == [("0:00:00", "The pump wants oil."), ("0:05:00", "In spring. In spring.")]
    assert sections_of(tmp_path / "b.vtt") == [("0:00:00", "The pump wants oil.")]


def test_latex(tmp_path: Path) -> None:
    (tmp_path / "a.tex").write_text(
        r"""\documentclass{article}\title{On \emph{Pumps}}\newcommand{\x}{y} % a remark
\begin{document}\maketitle
\section{Oil \& water}\label{s}
A pump wants \textbf{oil}, 50\% of it:~$E = mc^2$. % another
\begin{itemize}\item one\item two\end{itemize}
\begin{tikzpicture}\draw (0,0);\end{tikzpicture}
\subsection*{Valves {\it of} brass}
They open. \cite{knuth} See \url{https://example.org/a%20b}, then oil.
% \section{No more}
\end{document}
left out"""
    )
    document = read(str(tmp_path / "a.tex"))
    assert document.title == "On Pumps"
    assert [part.heading for part in document.sections] == ["Oil & water", "Oil & water > Valves of brass"]
    assert "A pump wants oil, 50% of it: $E = mc^2$." in document.text
    assert document.text.endswith("then oil.")
    assert not any(word in document.text for word in ("remark", "No more", "left out", "draw", "textbf", "label"))


def test_restructured_text(tmp_path: Path) -> None:
    (tmp_path / "a.rst").write_text(
        "=====\nPumps\n=====\n\n.. _target:\n.. a comment\n   of two lines\n\nOil them::\n\n    oil\n\nValves\n------\n"
        ".. image:: a.png\n   :width: 3\n\n.. note::\n\n   Of brass.\n\nOil\n---\n\nend\n"
    )
    assert sections_of(tmp_path / "a.rst") == [
        ("Pumps", "Pumps\n\nOil them::\n\n    oil"),
        ("Pumps > Valves", "Valves\n\n.. note::\n\n   Of brass."),
        ("Pumps > Oil", "Oil\n\nend"),
    ]


def test_org_asciidoc_and_mdx(tmp_path: Path) -> None:
    (tmp_path / "a.org").write_text(
        "#+TITLE: Oil\n#+OPTIONS: toc:nil\n* Pumps :tag:\n:PROPERTIES:\n:ID: 3\n:END:\nOil *them*.\n"
        "#+BEGIN_SRC sh\n* no heading\n#+END_SRC\n** Valves\n# a comment\nOf brass.\n"
    )
    assert read(str(tmp_path / "a.org")).title == "Oil"
    assert sections_of(tmp_path / "a.org") == [
        ("Pumps", "Pumps\n\nOil *them*.\n* no heading"),
        ("Pumps > Valves", "Valves\n\nOf brass."),
    ]
    (tmp_path / "b.adoc").write_text("= Pumps\n:toc:\n// a comment\nOil them.\n\n== Valves\nOf brass.\n")
    assert sections_of(tmp_path / "b.adoc") == [
        ("Pumps", "Pumps\n\nOil them."),
        ("Pumps > Valves", "Valves\n\nOf brass."),
    ]
    (tmp_path / "c.mdx").write_text(
        "import { A } from './a'\nexport const b = {\n  c: 1,\n}\n\n# Pumps\n\n<Card title='x'>\nOil them.\n</Card>\n"
        "```js\nimport d from 'd'\n```\n"
    )
    assert sections_of(tmp_path / "c.mdx") == [("Pumps", "# Pumps\n\nOil them.\n```js\nimport d from 'd'\n```")]


@pytest.mark.parametrize("name", ["a.log", "a.py", "a.rs", "a.sql", "a.h", "a.tsx"])
def test_logs_and_code_are_text(tmp_path: Path, name: str) -> None:
    content = "def oil(pump):\n    # why\n\treturn pump < 3\n\n\nline 2"
    (tmp_path / name).write_text(content)
    assert read(str(tmp_path / name)).text == content.replace("\n\n\n", "\n\n")
