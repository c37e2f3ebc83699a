"""Real files of every kind, small: what a person's folder holds."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding %s>>"
WIDTHS = {  # of Helvetica's characters, in thousandths of its size; others have about 556
    **dict.fromkeys(" ,.!Ift/:;", 278),
    **dict.fromkeys("ijl", 222),
    **dict.fromkeys("r-()", 333),
    **dict.fromkeys("ckssvxyz", 500),
    **dict.fromkeys("ABEKPSVXY", 667),
    **dict.fromkeys("CDHNRUw", 722),
    **dict.fromkeys("GOQ", 778),
    **dict.fromkeys("mM", 833),
}
IMAGE = b"<< /Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray /BitsPerComponent 8 /Length 1 >>"


class Drawn(NamedTuple):
    """Text at a place of a page, in points from its lower left corner, turned against the clock by degrees."""

    x: float
    y: float
    text: str
    size: float = 11
    angle: float = 0


def pdf(path: Path, pages: Sequence[Sequence[str] | None], letters: dict[str, str] | None = None) -> Path:
    """A PDF of lines from top to foot; a page that is None holds an image. `letters` says what each drawn one means."""
    return _pdf(path, [b"q 500 0 0 700 50 50 cm /I Do Q" if page is None else _drawn(page) for page in pages], letters)


def drawn_pdf(path: Path, pages: Sequence[Sequence[Drawn]], turned: int = 0) -> Path:
    """A PDF of text at its places, in the order given; `turned` is by how many degrees the pages are shown."""
    return _pdf(path, [b"".join(map(_piece, page)) for page in pages], entries=f"/Rotate {turned} ".encode())


def in_a_row(x: float, y: float, *parts: tuple[str, float, float]) -> list[Drawn]:
    """Pieces of (text, size, rise) that follow each other without a gap, as Helvetica is wide."""
    pieces = []
    for text, size, rise in parts:
        pieces.append(Drawn(x, y + rise, text, size))
        x += sum(WIDTHS.get(letter, 556) for letter in text) * size / 1000
    return pieces


def _pdf(path: Path, contents: Sequence[bytes], letters: dict[str, str] | None = None, entries: bytes = b"") -> Path:
    kids = " ".join(f"{5 + 2 * number} 0 R" for number in range(len(contents)))
    to_unicode = b"/ToUnicode 4 0 R " if letters else b""
    chars = "\n".join(f"<{ord(drawn):02x}> <{ord(meant):04x}>" for drawn, meant in (letters or {}).items())
    cmap = (
        "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n/CMapType 2 def\n/CMapName /X def\n"
        f"1 begincodespacerange\n<00> <ff>\nendcodespacerange\n{len(letters or {})} beginbfchar\n{chars}\nendbfchar\n"
        "endcmap\nend\nend"
    ).encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(contents)} >>".encode(),
        FONT % to_unicode,
        _stream(b"", cmap),
    ]
    image = 5 + 2 * len(contents)
    for number, content in enumerate(contents):
        resources = f"<< /Font << /F 3 0 R >> /XObject << /I {image} 0 R >> >>"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources {resources} "
            f"/Contents {6 + 2 * number} 0 R ".encode()
            + entries
            + b">>"
        )
        objects.append(_stream(b"", content))
    objects.append(IMAGE + b"\nstream\n\x80\nendstream")
    path.write_bytes(_file(objects))
    return path


def _file(objects: Sequence[bytes]) -> bytes:
    out = b"%PDF-1.7\n"
    places = []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(objects) + 1, table)
    return out + b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)


def _stream(entries: bytes, content: bytes) -> bytes:
    return b"<< %s/Length %d >>\nstream\n%s\nendstream" % (entries, len(content), content)


def _drawn(lines: Sequence[str]) -> bytes:
    body = "".join(f"({_quoted(line)}) Tj 0 -14 Td\n" for line in lines)
    return f"BT /F 11 Tf 50 740 Td\n{body}ET".encode("cp1252")


def _piece(piece: Drawn) -> bytes:
    cos, sin = math.cos(math.radians(piece.angle)), math.sin(math.radians(piece.angle))
    matrix = f"{cos:.4f} {sin:.4f} {-sin:.4f} {cos:.4f} {piece.x:.2f} {piece.y:.2f}"
    return f"BT /F {piece.size} Tf {matrix} Tm ({_quoted(piece.text)}) Tj ET\n".encode("cp1252")


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")


def with_outline(path: Path, entries: Sequence[tuple[str, int, int]], title: str = "", password: str = "") -> Path:
    """The PDF with an outline of (title, level from 0, page from 0), a title, and a password."""
    from pypdf import PdfWriter

    writer = PdfWriter(clone_from=path)
    parents: list[object] = []
    for name, level, page in entries:
        parents[level:] = [
            writer.add_outline_item(title=name, page_number=page, parent=parents[level - 1] if level else None)
        ]
    if title:
        writer.add_metadata({"/Title": title})
    if password:
        writer.encrypt(password, algorithm="RC4-128")
    writer.write(path)
    return path


class Field(NamedTuple):
    """A field of a form, or a note, and its place: left, bottom, right, top."""

    kind: str  # "Tx", "Btn" (a box to tick), "Ch" (a list) or "FreeText"
    value: str
    place: tuple[float, float, float, float]
    flags: int = 0


def with_fields(path: Path, fields: Sequence[Field], in_form: bool = True) -> Path:
    """The PDF with fields on its first page, and without pictures of them."""
    from pypdf import PdfWriter
    from pypdf.generic import ArrayObject, DictionaryObject, FloatObject, NameObject, NumberObject, TextStringObject

    writer = PdfWriter(clone_from=path)
    notes = ArrayObject()
    for number, field in enumerate(fields):
        note = DictionaryObject(
            {
                NameObject("/Type"): NameObject("/Annot"),
                NameObject("/Subtype"): NameObject("/FreeText" if field.kind == "FreeText" else "/Widget"),
                NameObject("/Rect"): ArrayObject(map(FloatObject, field.place)),
                NameObject("/F"): NumberObject(4),
                NameObject("/T"): TextStringObject(f"field{number}"),
                NameObject("/Ff"): NumberObject(field.flags),
            }
        )
        text = TextStringObject(field.value)
        if field.kind == "FreeText":
            note[NameObject("/Contents")] = text
        else:
            note[NameObject("/FT")] = NameObject(f"/{field.kind}")
            note[NameObject("/V")] = NameObject(f"/{field.value}") if field.kind == "Btn" else text
        if field.kind == "Btn":
            note[NameObject("/AS")] = NameObject(f"/{field.value}")
            states = DictionaryObject({NameObject("/Yes"): DictionaryObject(), NameObject("/Off"): DictionaryObject()})
            note[NameObject("/AP")] = DictionaryObject({NameObject("/N"): states})
        if field.kind == "Ch":
            note[NameObject("/Opt")] = ArrayObject(map(TextStringObject, ("red", "green", "blue")))
        notes.append(writer._add_object(note))
    writer.pages[0][NameObject("/Annots")] = notes
    if in_form:
        writer.root_object[NameObject("/AcroForm")] = DictionaryObject({NameObject("/Fields"): notes})
    writer.write(path)
    return path


def epub(path: Path, chapters: dict[str, str], locked: bool = False) -> Path:
    """A book of XHTML pages, in a folder of their own, after a table of contents."""
    items = "".join(
        f'<item id="c{n}" href="{name}" media-type="application/xhtml+xml"/>' for n, name in enumerate(chapters)
    )
    spine = "".join(f'<itemref idref="c{n}"/>' for n in range(len(chapters)))
    with zipfile.ZipFile(path, "w") as book:
        book.writestr("mimetype", "application/epub+zip")
        book.writestr(
            "META-INF/container.xml",
            '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
            '<rootfile full-path="OPS/book.opf"/></rootfiles></container>',
        )
        book.writestr(
            "OPS/book.opf",
            '<package xmlns="http://www.idpf.org/2007/opf"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
            f"<dc:title>A Book</dc:title></metadata><manifest>{items}"
            '<item id="nav" href="nav.xhtml" properties="nav" media-type="application/xhtml+xml"/></manifest>'
            f'<spine><itemref idref="nav"/>{spine}</spine></package>',
        )
        book.writestr("OPS/nav.xhtml", "<html><body><p>The contents</p></body></html>")
        for name, page in chapters.items():
            book.writestr(f"OPS/{name}", page)
        if locked:
            first = next(iter(chapters))
            book.writestr(
                "META-INF/encryption.xml",
                '<encryption xmlns:e="http://www.w3.org/2001/04/xmlenc#"><e:EncryptedData><e:CipherData>'
                f'<e:CipherReference URI="OPS/{first}"/></e:CipherData></e:EncryptedData></encryption>',
            )
    return path
