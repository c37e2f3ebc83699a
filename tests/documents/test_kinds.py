"""What a file really is: by its content, then by its name; and what cannot be read is called what it is."""

from __future__ import annotations

import gzip
import io
import json
import re
import zipfile
from pathlib import Path

import docx
import pptx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter

from gemmalocal.documents.document import Document
from gemmalocal.documents.read import read, read_each
from gemmalocal.errors import DocumentError
from tests.documents import samples

WORDS = "The pump wants oil in the spring."
PAGE = f"<!DOCTYPE html><html><head><title>Pumps</title></head><body><p>{WORDS}</p></body></html>".encode()
TRANSITIONAL = (
    rb"http://schemas\.openxmlformats\.org/(officeDocument|(?:\w+processing|drawing|\w+sheet|\w+ation)ml)/2006/"
)
RTF = rb"{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0 Arial;}}\f0 The pump wants oil in the spring.\par Gr\'f6\'dfe.\par}"


def word(path: Path) -> Path:
    document = docx.Document()
    document.add_heading("Pumps", 1)
    document.add_paragraph(WORDS)
    document.save(str(path))
    return path


def book(path: Path) -> Path:
    with xlsxwriter.Workbook(path) as workbook:
        workbook.add_worksheet("Pumps").write_column(0, 0, ["text", WORDS])
    return path


def bytes_of(name: str, folder: Path) -> bytes:
    """A file of each kind, as bytes."""
    place = folder / "made"
    match name:
        case "docx":
            return word(place).read_bytes()
        case "xlsx":
            return book(place).read_bytes()
        case "epub":
            return samples.epub(place, {"c.xhtml": f"<html><body><p>{WORDS}</p></body></html>"}).read_bytes()
        case "pdf":
            return samples.pdf(place, [[WORDS]]).read_bytes()
        case "parquet":
            pq.write_table(pa.table({"text": [WORDS]}), place)
            return place.read_bytes()
        case "html":
            return PAGE
        case "rtf":
            return RTF
        case "gz":
            return gzip.compress(WORDS.encode())
        case "utf-16":
            return WORDS.encode("utf-16")
        case "utf-16 without a mark":
            return (WORDS * 20).encode("utf-16-le")
        case "html in utf-16":
            return PAGE.decode().encode("utf-16")
        case "xhtml":
            return b'<?xml version="1.0"?>\n<!-- made -->\n<html xmlns="http://www.w3.org/1999/xhtml">' + PAGE[21:]
        case "tabs":
            return f"text\tn\n{WORDS}\t1\n".encode()
        case "junk, then pdf":
            return b"\r\nHTTP/1.1 200 OK\r\n\r\n" + bytes_of("pdf", folder)
    raise LookupError(name)


@pytest.mark.parametrize(
    ("content", "name", "told"),
    [
        ("docx", "a.txt", ".docx"),
        ("docx", "a.doc", ".docx"),
        ("docx", "a.zip", ".docx"),
        ("docx", "a.dotx", ".docx"),
        ("docx", "a.docm", ""),
        ("xlsx", "a.csv", ".xlsx"),
        ("xlsx", "a.xls", ""),
        ("epub", "a.zip", ".epub"),
        ("pdf", "a", ".pdf"),
        ("pdf", "a.docx", ".pdf"),
        ("junk, then pdf", "a.pdf", ""),
        ("parquet", "a.json", ".parquet"),
        ("parquet", "a.dat", ".parquet"),
        ("html", "a.txt", ".html"),
        ("html", "a.doc", ".html"),
        ("html", "a.xls", ".html"),
        ("html", "a.pdf", ".html"),
        ("html", "a.aspx", ".html"),
        ("html in utf-16", "a.txt", ".html"),
        ("xhtml", "a.txt", ".html"),
        ("rtf", "a.txt", ".rtf"),
        ("rtf", "a.doc", ".rtf"),
        ("rtf", "a.docx", ".rtf"),
        ("gz", "a.txt", ""),
        ("utf-16", "a.txt", ""),
        ("utf-16", "a.md", ""),
        ("utf-16 without a mark", "a.txt", ""),
        ("tabs", "a.xls", ".tsv"),
    ],
)
def test_by_content_then_by_name(tmp_path: Path, content: str, name: str, told: str) -> None:
    (tmp_path / name).write_bytes(bytes_of(content, tmp_path))
    documents = list(read_each(str(tmp_path / name)))
    document = documents[0]
    assert isinstance(document, Document)
    assert WORDS in document.text
    if told not in (".xlsx", ".parquet", ".tsv"):  # of a table each row is a document
        assert [warning for warning in document.warnings if "by its content" in warning] == (
            [f"It was read as '{told}', which it is by its content; its name says '{Path(name).suffix}'."]
            if told
            else []
        )


def zipped(**members: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/"), content)
    return out.getvalue()


def ole(stream: str) -> bytes:
    """The beginning of an OLE file, and one of its directory's entries."""
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504) + stream.encode("utf-16-le") + bytes(64)


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        (zipped(a="x"), "a.txt", r"is a zip archive under the name '\.txt'\. Unpack it"),
        (zipped(a="x"), "a.zip", r"is a zip archive\. Unpack it"),
        (zipped(a="x"), "a.docx", r"is a zip archive under the name '\.docx'"),
        (b"PK\x03\x04 no", "a.txt", r"is a damaged zip archive under the name '\.txt'"),
        (
            zipped(Index__Document_iwa="x", a_iwa="").replace(b"_iwa", b".iwa"),
            "a.pages",
            "is of Pages, Numbers or Keynote",
        ),
        (zipped(mimetype="application/vnd.oasis.opendocument.graphics"), "a.odg", "is an OpenDocument graphics"),
        (ole("EncryptedPackage"), "a.docx", r"is encrypted\. Save it again, without a password"),
        (ole("WordDocument"), "a.doc", r"is a Word file from before 2007\. Save it as \.docx"),
        (ole("WordDocument"), "a.docx", "is a Word file from before 2007"),
        (ole("PowerPoint Document"), "a.ppt", "is a PowerPoint file from before 2007"),
        (ole("__properties_version1.0"), "a.msg", r"is a message of Outlook\. Save it as \.eml"),
        (ole("Something"), "a.doc", "is encrypted, or of an old kind of Office"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "a.pdf", r"is an image under the name '\.pdf'\. Recognise its text"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "a.jpg", r"is an image\. "),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "a.wav", r"is sound\. Make a transcript"),
        (b"\x00\x00\x00\x20ftypisom", "a.mp4", "is a video, or sound"),
        (b"7z\xbc\xaf\x27\x1c\x00", "a.txt", r"is a 7z archive under the name '\.txt'"),
        (b"SQLite format 3\x00", "a.db", r"is a database \(SQLite\)"),
        (b"\x7fELF\x02\x01\x01\x00", "a", "is a program under the name ''"),
        (b"%!PS-Adobe-3.0\n", "a.ps", r"is PostScript\. Save it as PDF"),
        (b"words and more", "a.foo", r"is of a kind that is not read: '\.foo'\. It holds text: .* name it \.txt"),
        (b"\x00\x01\x02\x03" * 9, "a.foo", r"is of a kind that is not read: '\.foo'\. These are"),
        (b"\x00\x01\x02\x03" * 90, "a.txt", "is not text: no encoding fits"),
    ],
)
def test_what_cannot_be_read_is_called_what_it_is(tmp_path: Path, content: bytes, name: str, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DocumentError) as caught:
        list(read_each(str(tmp_path / name)))
    assert re.search(said, f"{caught.value.message} {caught.value.hint}")


def strict(path: Path) -> Path:
    """The same file as strict Open XML."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, re.sub(TRANSITIONAL, rb"http://purl.oclc.org/ooxml/\1/", content))
    return path


def deck(path: Path) -> Path:
    slides = pptx.Presentation()
    slide = slides.slides.add_slide(slides.slide_layouts[5])
    slide.shapes.title.text_frame.text = WORDS
    slide.shapes.add_textbox(0, 0, 99, 99).text_frame.text = WORDS
    slides.save(str(path))
    return path


@pytest.mark.parametrize(("name", "make"), [("a.docx", word), ("a.pptx", deck), ("a.xlsx", book)])
def test_strict_open_xml_is_read(tmp_path: Path, name: str, make: object) -> None:
    assert callable(make)
    file = strict(make(tmp_path / name))
    with zipfile.ZipFile(file) as archive:
        assert b"purl.oclc.org" in archive.read("_rels/.rels")
    assert WORDS in read(str(file)).text


def test_json_lines_under_the_name_of_json(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("".join(json.dumps({"text": f"{WORDS} {n}"}) + "\n" for n in range(3)))
    assert len(list(read_each(str(tmp_path / "a.json")))) == 3


def test_words_about_files_are_words(tmp_path: Path) -> None:
    for name, content in (
        ("a.txt", "%PDF is how a PDF begins, and {\\rtf how rich text does."),
        ("b.py", "# <html> in a comment\nprint('<!doctype html>')\n"),
        ("c.md", "<html> is a tag, says this page in Markdown."),
        ("d.txt", "BZh, GIF8 and ID3 begin files."),
        ("e.txt", "GIF8 begins files."),
    ):
        (tmp_path / name).write_text(content)
        assert read(str(tmp_path / name)).text == content.strip()
