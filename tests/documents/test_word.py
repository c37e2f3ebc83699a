"""Word: what the page shows, and not what is behind it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import docx
import pytest
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from docx.oxml import parse_xml

from gemmalocal.documents.document import Document
from gemmalocal.documents.read import read

NAMES = (
    'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
    'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
)
FOOTNOTES = "application/vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml"


RUBY = "</w:rubyBase></w:ruby></w:r>"
WHITE = "<w:color w:val='FFFFFF'/>"


def t(text: str, look: str = "") -> str:
    """A run."""
    return f"<w:r><w:rPr>{look}</w:rPr><w:t xml:space='preserve'>{text}</w:t></w:r>"


def sup(text: str) -> str:
    return t(text, "<w:vertAlign w:val='superscript'/>")


def sub(text: str) -> str:
    return t(text, "<w:vertAlign w:val='subscript'/>")


def m(text: str) -> str:
    return f"<m:r><m:t>{text}</m:t></m:r>"


def formula(inner: str) -> str:
    return f"<m:oMath>{inner}</m:oMath>"


def _element(xml: str) -> Any:
    (element,) = parse_xml(f"<w:body {NAMES}>{xml}</w:body>")
    return element


def document(path: Path, *blocks: str, prepare: Callable[[Any], None] = lambda word: None) -> Document:
    """A document of blocks in XML, as it is read."""
    word = docx.Document()
    prepare(word)
    body = word.element.body
    for block in blocks:
        start, _, rest = block.partition(">")
        body.insert(
            len(body) - 1, parse_xml(f"{start.removesuffix('/')} {NAMES}{'/' if start.endswith('/') else ''}>{rest}")
        )
    word.save(str(path / "a.docx"))
    return read(str(path / "a.docx"))


@pytest.mark.parametrize(
    ("runs", "read_as"),
    [
        (t("in 1702") + sup("1") + t(", and"), "in 1702[1], and"),
        (t("about 10") + sup("6"), "about 10^6"),
        (t("10") + sup("-") + sup("6"), "10^-6"),
        (t("the 2") + sup("nd") + t(" day"), "the 2nd day"),
        (t("word") + sup("12"), "word[12]"),
        (t("H") + sub("2") + t("O and x") + sub("i"), "H2O and x_i"),
        (t("40 ") + "<w:r><w:sym w:font='Symbol' w:char='F0B0'/></w:r>" + t("C"), "40 °C"),
        ("<w:r><w:sym w:font='Wingdings' w:char='F0FC'/></w:r>" + t(" done"), "✓ done"),
        (t("\uf061\uf0b3", "<w:rFonts w:ascii='Symbol'/>"), "α≥"),
        (t("40 \uf0b0C"), "40 °C"),
        (t("abc", "<w:rFonts w:ascii='Symbol'/>"), "αβχ"),
        (t("Hello") + "<w:moveFrom>" + t(" moved") + "</w:moveFrom>" + t(" there"), "Hello there"),
        ("<w:moveTo>" + t("moved ") + "</w:moveTo>" + t("there"), "moved there"),
        (t("a") + "<w:del><w:r><w:delText>b</w:delText></w:r></w:del><w:ins>" + t("c") + "</w:ins>", "ac"),
        (t("off") + "<w:r><w:softHyphen/></w:r>" + t("ice") + "<w:r><w:noBreakHyphen/></w:r>" + t("x"), "office-x"),
        (
            "<w:r><w:ruby><w:rt>" + t("かんじ") + "</w:rt><w:rubyBase>" + t("漢字") + "</w:rubyBase></w:ruby></w:r>",
            "漢字",
        ),
        (t("seen", "<w:vanish w:val='0'/>"), "seen"),
        (t("seen", "<w:color w:val='FFFFFF'/><w:shd w:val='clear' w:fill='000000'/>"), "seen"),
        (t("seen", "<w:color w:val='FFFFFF'/><w:highlight w:val='blue'/>"), "seen"),
        (
            "<w:r><w:fldChar w:fldCharType='begin'><w:ffData><w:checkBox><w:checked/></w:checkBox></w:ffData>"
            "</w:fldChar></w:r>" + t(" yes"),
            "[x] yes",
        ),
        ("<w:r><w:instrText>PAGE</w:instrText></w:r>" + t("page"), "page"),
        (t("so ") + formula(m("E=m") + f"<m:sSup><m:e>{m('c')}</m:e><m:sup>{m('2')}</m:sup></m:sSup>"), "so E=mc^2"),
        (formula(f"<m:f><m:num>{m('a+b')}</m:num><m:den>{m('2')}</m:den></m:f>"), "(a+b)/2"),
        (formula(f"<m:rad><m:radPr><m:degHide m:val='1'/></m:radPr><m:deg/><m:e>{m('x')}</m:e></m:rad>"), "√(x)"),
        (
            formula(
                f"<m:nary><m:naryPr><m:chr m:val='∑'/></m:naryPr><m:sub>{m('i=1')}</m:sub><m:sup>{m('n')}</m:sup>"
                f"<m:e>{m('i')}</m:e></m:nary>"
            ),
            "∑_(i=1)^n i",
        ),
        (formula(f"<m:d><m:e>{m('x')}</m:e></m:d>"), "(x)"),
        (formula(f"<m:func><m:fName>{m('sin')}</m:fName><m:e>{m('x')}</m:e></m:func>"), "sin x"),
        (formula(f"<m:m><m:mr><m:e>{m('1')}</m:e><m:e>{m('0')}</m:e></m:mr></m:m>"), "[1, 0]"),
        (f"<m:oMathPara>{formula(m('a=b'))}</m:oMathPara>", "a=b"),
    ],
)
def test_a_paragraph_as_it_is_seen(tmp_path: Path, runs: str, read_as: str) -> None:
    read_document = document(tmp_path, f"<w:p>{runs}</w:p>")
    assert read_document.text == read_as
    assert not read_document.warnings


def hide_in_style(word: Any) -> None:
    style = word.styles.add_style("Gone", 1)
    style.element.get_or_add_rPr().append(parse_xml(f"<w:vanish {NAMES}/>"))
    word.styles.add_style("Further", 1).base_style = style


@pytest.mark.parametrize(
    "hidden",
    [
        f"<w:p>{t('seen')}{t('secret', '<w:vanish/>')}</w:p>",
        f"<w:p><w:pPr><w:pStyle w:val='Gone'/></w:pPr>{t('secret')}</w:p>",
        f"<w:p><w:pPr><w:pStyle w:val='Further'/></w:pPr>{t('secret')}</w:p>",
        f"<w:p>{t('seen')}{t('secret', WHITE)}</w:p>",
        f"<w:tbl><w:tr><w:tc><w:p>{t('secret', '<w:vanish/>')}</w:p></w:tc></w:tr></w:tbl>",
    ],
)
def test_hidden_text_is_left_out_and_counted(tmp_path: Path, hidden: str) -> None:
    read_document = document(tmp_path, f"<w:p>{t('Before.')}</w:p>", hidden, prepare=hide_in_style)
    assert "secret" not in read_document.text
    assert read_document.warnings == ("Hidden text was left out: 1 piece, 6 characters.",)


LISTS = f"""<w:numbering {NAMES}><w:abstractNum w:abstractNumId="90">
<w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:lvlText w:val="%1."/></w:lvl>
<w:lvl w:ilvl="1"><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:lvlText w:val="%1.%2"/></w:lvl>
<w:lvl w:ilvl="2"><w:start w:val="3"/><w:numFmt w:val="lowerRoman"/><w:lvlText w:val="(%3)"/></w:lvl></w:abstractNum>
<w:abstractNum w:abstractNumId="91"><w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/><w:lvlText w:val="\uf0b7"/></w:lvl>
<w:lvl w:ilvl="1"><w:numFmt w:val="bullet"/><w:lvlText w:val="o"/></w:lvl></w:abstractNum>
<w:num w:numId="90"><w:abstractNumId w:val="90"/></w:num><w:num w:numId="91"><w:abstractNumId w:val="91"/></w:num>
<w:num w:numId="92"><w:abstractNumId w:val="90"/><w:lvlOverride w:ilvl="0"><w:startOverride w:val="7"/></w:lvlOverride>
</w:num></w:numbering>"""


def with_lists(word: Any) -> None:
    root = word.part.numbering_part.element
    for child in parse_xml(LISTS):
        at = 0 if child.tag.endswith("abstractNum") else len(root)
        root.insert(at, child)


def item(text: str, number: int, level: int = 0) -> str:
    place = f"<w:numPr><w:ilvl w:val='{level}'/><w:numId w:val='{number}'/></w:numPr>"
    return f"<w:p><w:pPr>{place}</w:pPr>{t(text)}</w:p>"


@pytest.mark.parametrize(
    ("items", "read_as"),
    [
        ([("a", 90), ("b", 90)], "1. a\n2. b"),
        ([("a", 90), ("b", 90, 1), ("c", 90, 1), ("d", 90), ("e", 90, 1)], "1. a\n  1.1 b\n  1.2 c\n2. d\n  2.1 e"),
        ([("a", 90, 2), ("b", 90, 2)], "(iii) a\n    (iv) b"),
        ([("a", 91), ("b", 91, 1)], "- a\n  - b"),
        ([("a", 90), ("b", 92), ("c", 92)], "1. a\n7. b\n8. c"),
        ([("a", 90), ("", 90), ("b", 90)], "1. a\n2. b"),
        ([("a", 0), ("b", 999)], "a\n\nb"),
    ],
)
def test_lists_have_their_numbers(tmp_path: Path, items: list[tuple[Any, ...]], read_as: str) -> None:
    assert document(tmp_path, *(item(*entry) for entry in items), prepare=with_lists).text == read_as


def test_lists_by_style_and_numbered_headings(tmp_path: Path) -> None:
    word = docx.Document()
    with_lists(word)
    for text in ("one", "two"):
        word.add_paragraph(text, style="List Number")
    word.add_paragraph("dot", style="List Bullet")
    heading = word.add_heading("Care", 1)
    heading._p.get_or_add_pPr().append(parse_xml(f"<w:numPr {NAMES}><w:numId w:val='90'/></w:numPr>"))
    word.add_paragraph("Oil it.")
    word.save(str(tmp_path / "a.docx"))
    read_document = read(str(tmp_path / "a.docx"))
    assert read_document.sections[0].text == "1. one\n2. two\n- dot"
    assert (read_document.sections[1].heading, read_document.sections[1].text) == ("1. Care", "1. Care\n\nOil it.")


def test_notes_have_their_marks_in_the_order_of_the_text(tmp_path: Path) -> None:
    notes = "".join(f"<w:footnote w:id='{n}'><w:p>{t(f'note {n}')}</w:p></w:footnote>" for n in (1, 2))

    def prepare(word: Any) -> None:
        blob = f"<w:footnotes {NAMES}>{notes}</w:footnotes>".encode()
        word.part.relate_to(
            Part(PackURI("/word/footnotes.xml"), FOOTNOTES, blob, word.part.package), RELATIONSHIP_TYPE.FOOTNOTES
        )

    reference = "<w:r><w:rPr><w:vertAlign w:val='superscript'/></w:rPr><w:footnoteReference w:id='{}'/></w:r>"
    read_document = document(
        tmp_path,
        f"<w:p>{t('One')}{reference.format(2)}{t(' and two')}{reference.format(1)}{t('.')}</w:p>",
        prepare=prepare,
    )
    assert [section.text for section in read_document.sections] == ["One[1] and two[2].", "[1] note 2\n\n[2] note 1"]


@pytest.mark.parametrize(
    ("kind", "name", "data", "read_as"),
    [
        ("text/html", "a.html", b"<html><body><p>From the web<sup>1</sup></p></body></html>", "From the web[1]"),
        ("text/plain", "a.txt", b"Plain words", "Plain words"),
    ],
)
def test_files_put_into_it_are_read(tmp_path: Path, kind: str, name: str, data: bytes, read_as: str) -> None:
    def prepare(word: Any) -> None:
        word.part.relate_to(Part(PackURI(f"/word/{name}"), kind, data, word.part.package), RELATIONSHIP_TYPE.A_F_CHUNK)

    word = docx.Document()
    prepare(word)
    relation = next(name for name, rel in word.part.rels.items() if rel.reltype.endswith("/aFChunk"))
    read_document = document(
        tmp_path, f"<w:p>{t('Before.')}</w:p>", f"<w:altChunk r:id='{relation}'/>", prepare=prepare
    )
    assert read_document.text == f"Before.\n\n{read_as}"


def test_a_word_file_put_into_another_is_read_and_what_cannot_be_is_told(tmp_path: Path) -> None:
    inner = tmp_path / "inner.docx"
    word = docx.Document()
    word.add_paragraph("From within")
    word.save(str(inner))
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    outer = docx.Document()
    for name, content, data in (("in.docx", kind, inner.read_bytes()), ("in.xyz", "application/xyz", b"?")):
        part = Part(PackURI(f"/word/{name}"), content, data, outer.part.package)
        relation = outer.part.relate_to(part, RELATIONSHIP_TYPE.A_F_CHUNK)
        outer.element.body.insert(0, parse_xml(f"<w:altChunk {NAMES} r:id='{relation}'/>"))
    outer.save(str(tmp_path / "a.docx"))
    read_document = read(str(tmp_path / "a.docx"))
    assert read_document.text == "From within"
    assert read_document.warnings == ("A document inside the document is not read: it is of the kind application/xyz.",)
