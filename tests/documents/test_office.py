"""Word and PowerPoint: nothing that a reader sees is lost."""

from __future__ import annotations

import zipfile
from pathlib import Path

import docx
import pptx
import pytest
from docx.oxml import parse_xml
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from gemmalocal.documents import packed
from gemmalocal.documents.read import read
from gemmalocal.errors import DocumentError

NAMES = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def word(path: Path) -> Path:
    """Headings, a table in a table, a comment, a content control, a tracked change, a header."""
    document = docx.Document()
    document.add_heading("The Pump", 0)
    document.add_heading("Care", 1)
    paragraph = document.add_paragraph("Oil it each ")
    run = paragraph.add_run("week.")
    document.add_comment(run, text="Every month will do.", author="A", initials="A")
    table = document.add_table(2, 2)
    table.cell(0, 0).text, table.cell(0, 1).text = "Part", "Oil"
    table.cell(1, 0).text = "Valve"
    table.cell(1, 1).add_table(1, 1).cell(0, 0).text = "SAE 10"
    document.add_heading("Faults", 2)
    body = document.element.body
    body.insert(
        len(body) - 1,
        parse_xml(f"<w:sdt {NAMES}><w:sdtContent><w:p><w:r><w:t>It is loud.</w:t></w:r></w:p></w:sdtContent></w:sdt>"),
    )
    body.insert(
        len(body) - 1,
        parse_xml(
            f"<w:p {NAMES}><w:ins><w:r><w:t>Call us</w:t></w:r></w:ins>"
            "<w:del><w:r><w:delText> never</w:delText></w:r></w:del><w:r><w:tab/><w:t>now.</w:t></w:r></w:p>"
        ),
    )
    document.sections[0].header.paragraphs[0].text = "Company secret"
    document.save(str(path))
    return path


def test_a_word_file_by_its_headings(tmp_path: Path) -> None:
    document = read(str(word(tmp_path / "pump.docx")))
    sections = {section.heading: section.text for section in document.sections}
    assert document.title == "The Pump"
    assert sections["Care"] == "Care\n\nOil it each week.\n\nPart | Oil\nValve | SAE 10"
    assert sections["Care > Faults"] == "Faults\n\nIt is loud.\n\nCall us\tnow."
    assert sections["Comments"] == "Every month will do."
    assert "Company secret" not in document.text


def test_a_text_box_is_read_once(tmp_path: Path) -> None:
    document = docx.Document()
    box = "<w:txbxContent><w:p><w:r><w:t>In a box.</w:t></w:r></w:p></w:txbxContent>"
    document.element.body.insert(
        0,
        parse_xml(
            f'<w:p {NAMES} xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"><w:r>'
            f"<w:t>Beside it.</w:t><mc:AlternateContent><mc:Choice>{box}</mc:Choice><mc:Fallback>{box}</mc:Fallback>"
            "</mc:AlternateContent></w:r></w:p>"
        ),
    )
    document.save(str(tmp_path / "a.docx"))
    assert read(str(tmp_path / "a.docx")).text == "Beside it.\n\nIn a box."


def slides(path: Path) -> Path:
    """A title, a group, a table, a chart and notes."""
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[5])
    slide.shapes.title.text = "Sales"
    group = slide.shapes.add_group_shape()
    inner = group.shapes.add_group_shape().shapes.add_textbox(0, 0, Inches(1), Inches(1))
    inner.text_frame.text = "Deep inside"
    table = slide.shapes.add_table(1, 2, 0, 0, Inches(2), Inches(1)).table
    table.cell(0, 0).text, table.cell(0, 1).text = "May", "June"
    figures = CategoryChartData()
    figures.categories = ["North", "South"]
    figures.add_series("Pumps", (3, 4.5))
    slide.shapes.add_chart(XL_CHART_TYPE.BAR_CLUSTERED, 0, 0, Inches(2), Inches(2), figures)
    slide.notes_slide.notes_text_frame.text = "Smile here."
    deck.slides.add_slide(deck.slide_layouts[6]).shapes.add_textbox(0, 0, 1, 1).text_frame.text = "The end"
    deck.save(str(path))
    return path


def test_slides_with_groups_tables_charts_and_notes(tmp_path: Path) -> None:
    document = read(str(slides(tmp_path / "a.pptx")))
    assert document.title == "Sales"
    first, second = document.sections
    assert (first.heading, first.page) == ("Sales", 1)
    parts = ("Sales", "Deep inside", "May | June", "North | 3\nSouth | 4.5", "Smile here.")
    assert all(part in first.text for part in parts)
    assert first.text.count("Sales") == 1
    assert (second.heading, second.text) == ("Slide 2", "The end")


def test_office_files_without_text(tmp_path: Path) -> None:
    docx.Document().save(str(tmp_path / "a.docx"))
    pptx.Presentation().save(str(tmp_path / "a.pptx"))
    for name in ("a.docx", "a.pptx"):
        with pytest.raises(DocumentError, match=f"{name} is empty"):
            read(str(tmp_path / name))


def test_damaged_and_encrypted_office_files(tmp_path: Path) -> None:
    whole = word(tmp_path / "a.docx").read_bytes()
    for cut in (10, 300, len(whole) // 2, len(whole) - 30):
        (tmp_path / "cut.docx").write_bytes(whole[:cut])
        with pytest.raises(DocumentError, match=r"cut.docx (is damaged|cannot be read)"):
            read(str(tmp_path / "cut.docx"))
    (tmp_path / "locked.docx").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500))
    with pytest.raises(DocumentError, match="is encrypted, or of an old kind"):
        read(str(tmp_path / "locked.docx"))
    with zipfile.ZipFile(tmp_path / "other.docx", "w") as file:
        file.writestr("a", "b")
    with pytest.raises(DocumentError, match="is damaged|is a zip archive"):
        read(str(tmp_path / "other.docx"))


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "LARGEST", 1 << 16)
    with zipfile.ZipFile(tmp_path / "a.docx", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("word/document.xml", bytes(1 << 18))
    with pytest.raises(DocumentError, match="is too large.*unpacked"):
        read(str(tmp_path / "a.docx"))
