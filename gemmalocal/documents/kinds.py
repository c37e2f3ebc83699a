"""What a file really is: by its content, then by its name."""

from __future__ import annotations

import codecs
import mmap
import re
import zipfile
from pathlib import Path

from gemmalocal.documents import row_readers
from gemmalocal.documents.document import Unreadable
from gemmalocal.documents.packed import BROKEN_ZIP
from gemmalocal.documents.text import decode, has_zeros

CODES = (
    ".py .pyi .js .mjs .cjs .jsx .ts .tsx .java .kt .kts .scala .groovy .gradle .c .h .cc .cpp .cxx .hh .hpp .hxx .m "
    ".mm .cs .fs .vb .go .rs .rb .php .pl .pm .lua .r .jl .swift .dart .d .zig .nim .hs .ml .mli .ex .exs .erl .clj "
    ".cljs .lisp .el .scm .f .f90 .f95 .pas .ada .adb .asm .s .sh .bash .zsh .fish .ps1 .bat .sql .proto .graphql .vue "
    ".svelte .css .scss .cmake .tf .v .sv .vhd .vhdl .sol"
)
CODE = frozenset(CODES.split())
READERS = {  # suffix: module and function, imported when the first such file is met
    ".pdf": "pdf.read_pdf",
    ".docx": "office.read_docx",
    ".docm": "office.read_docx",
    ".pptx": "slides.read_pptx",
    ".pptm": "slides.read_pptx",
    ".odt": "opendocument.read_text",
    ".fodt": "opendocument.read_flat",
    ".odp": "opendocument.read_slides",
    ".rtf": "rtf.read_rtf",
    ".html": "html.read_html",
    ".htm": "html.read_html",
    ".xhtml": "html.read_html",
    ".epub": "epub.read_epub",
    ".ipynb": "notebook.read_notebook",
    ".eml": "mail.read_mail",
    ".mht": "mail.read_mail",
    ".mhtml": "mail.read_mail",
    ".mbox": "mail.read_mailbox",
    ".srt": "subtitles.read_subtitles",
    ".vtt": "subtitles.read_subtitles",
    ".md": "text.read_markdown",
    ".markdown": "text.read_markdown",
    ".mdx": "outlines.read_mdx",
    ".rst": "outlines.read_rst",
    ".org": "outlines.read_org",
    ".adoc": "outlines.read_asciidoc",
    ".tex": "tex.read_tex",
    ".txt": "plain_text.read_plain",
    ".text": "plain_text.read_plain",
    ".log": "text.read_text",
    "": "plain_text.read_plain",
    **dict.fromkeys(CODE, "text.read_text"),
}
MAILBOX = ".mbox"
ROWS = frozenset(row_readers.READERS) - frozenset(READERS)
KINDS = sorted({*READERS, *ROWS} - {"", *CODE})
PACKED = {
    ".pdf",
    ".docx",
    ".docm",
    ".pptx",
    ".pptm",
    ".odt",
    ".odp",
    ".epub",
    ".xlsx",
    ".xlsm",
    ".xlsb",
    ".xls",
    ".ods",
}
PROSE = {"", ".txt", ".text", ".csv", ".tsv", ".json", ".jsonl", ".log", ".tex"}  # names under which a page may hide
INSTEAD = {  # kinds that are not read, and what to save them as
    ".doc": ".docx", ".dot": ".docx", ".wps": ".docx", ".pages": ".docx", ".ppt": ".pptx", ".pps": ".pptx",
    ".key": ".pptx", ".numbers": ".csv", ".msg": ".eml", ".mobi": ".epub", ".azw3": ".epub", ".ps": ".pdf",
    ".djvu": ".pdf", ".xps": ".pdf", ".chm": ".html",
}  # fmt: skip
START = 4096  # bytes that tell
OLE, ZIP, RTF = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", (b"PK\x03\x04", b"PK\x05\x06"), b"{\\rtf"
UNPACK, SPEECH = "Unpack it, and name the folder.", "Make a transcript of it (.srt, .vtt or .txt)."
OCR, NO_DOCUMENT = "Recognise its text first, for example with ocrmypdf.", "Leave it out."
MAGIC: tuple[tuple[int, bytes, str, str], ...] = (  # at which byte, what stands there, what that is, what helps
    (0, b"\x89PNG", "an image", OCR),
    (0, b"\xff\xd8\xff", "an image", OCR),
    (0, b"GIF8", "an image", OCR),
    (0, b"II*\x00", "an image", OCR),
    (0, b"MM\x00*", "an image", OCR),
    (8, b"WEBP", "an image", OCR),
    (4, b"ftyphei", "an image", OCR),
    (4, b"ftypavif", "an image", OCR),
    (4, b"ftyp", "a video, or sound", SPEECH),
    (0, b"\x1aE\xdf\xa3", "a video", SPEECH),
    (8, b"WAVE", "sound", SPEECH),
    (8, b"AVI ", "a video", SPEECH),
    (0, b"ID3", "sound", SPEECH),
    (0, b"OggS", "sound", SPEECH),
    (0, b"fLaC", "sound", SPEECH),
    (0, b"BZh", "a packed file (bzip2)", UNPACK),
    (0, b"\xfd7zXZ", "a packed file (xz)", UNPACK),
    (0, b"\x28\xb5\x2f\xfd", "a packed file (zstd)", UNPACK),
    (0, b"7z\xbc\xaf", "a 7z archive", UNPACK),
    (0, b"Rar!", "a RAR archive", UNPACK),
    (257, b"ustar", "a tar archive", UNPACK),
    (0, b"\x7fELF", "a program", NO_DOCUMENT),
    (0, b"\xcf\xfa\xed\xfe", "a program", NO_DOCUMENT),
    (0, b"MZ\x90", "a program", NO_DOCUMENT),
    (0, b"SQLite format 3", "a database (SQLite)", "Export its tables as .csv."),
    (0, b"wOF", "a font", NO_DOCUMENT),
    (0, b"GGUF", "a model's weights (GGUF)", NO_DOCUMENT),
    (0, b"\x89HDF", "data (HDF5)", NO_DOCUMENT),
    (0, b"\x93NUMPY", "data (NumPy)", NO_DOCUMENT),
    (0, b"Obj\x01", "data (Avro)", "Save it as .parquet or .jsonl."),
    (0, b"%!PS", "PostScript", "Save it as PDF (ps2pdf)."),
    (0, b"AT&TFORM", "a DjVu book", "Save it as PDF with text."),
    (60, b"BOOKMOBI", "a book for Kindle", "Save it as EPUB (Calibre does)."),
    (0, b"ITSF", "a Windows help file (.chm)", "Unpack it to web pages."),
    (0, b"bplist00", "an Apple property list, or a web archive", "Save the page as .html."),
)
STREAMS = {  # names of streams in an OLE file: a suffix that is read, or what it is and what helps
    "EncryptedPackage": ("encrypted", "Save it again, without a password."),
    "WordDocument": ("a Word file from before 2007", "Save it as .docx or PDF."),
    "PowerPoint Document": ("a PowerPoint file from before 2007", "Save it as .pptx or PDF."),
    "__properties_version1.0": ("a message of Outlook", "Save it as .eml."),
    "VisioDocument": ("a Visio drawing", "Save it as PDF."),
}
IN_ZIP = (  # how names in a zip file begin, and the kind of those that have one
    ("word/", ".docx"),
    ("ppt/", ".pptx"),
    ("xl/", ".xlsx"),
    ("META-INF/container.xml", ".epub"),
)
OPENDOCUMENT = {"text": ".odt", "presentation": ".odp", "spreadsheet": ".ods"}
MAIL = re.compile(rb"From [^\n]{3,200}\d\d:\d\d[^\n]{0,40}\r?\n[A-Za-z][\w-]*: ")


def kind(file: Path) -> str:
    """The suffix whose reader takes a file; raises `Unreadable` that says what it is, if none does."""
    named = file.suffix.lower()
    with file.open("rb") as raw:
        start = raw.read(START)
    if not start:
        raise Unreadable("is empty", "Leave it out.")
    if suffix := _by_magic(file, start, named):
        return suffix
    text = _text(start)
    is_known = named in READERS or named in ROWS
    suffix = ""
    if text is not None and (not is_known or named in PACKED | PROSE):
        suffix = _by_text(text, named)
    if suffix or is_known:
        return suffix or named
    raise _not_read(named, text is not None)


def is_same_kind(suffix: str, named: str) -> bool:
    """Does a name say what was found?"""
    if suffix in ROWS or named in ROWS:
        return suffix == named or {suffix, named} <= {".xlsx", ".xlsm", ".xlsb", ".xls"}
    return READERS.get(suffix) == READERS.get(named)


def _by_magic(file: Path, start: bytes, named: str) -> str:
    """The suffix that the first bytes tell, "" if they tell none; raises `Unreadable` if it is known, and not read."""
    begins = start.lstrip(b"\xef\xbb\xbf \t\r\n\x00")
    if begins.startswith(b"%PDF-"):
        return ".pdf"
    if begins.startswith(RTF):
        return ".rtf"
    if start.startswith(ZIP):
        return _zipped(file, named)
    if start.startswith(OLE):
        return _ole(file)
    if start.startswith(b"PAR1") and not start.startswith(b"PAR1 "):
        return ".parquet"
    if start.startswith(b"ARROW1"):
        return ".arrow"
    if named == "" and MAIL.match(start):
        return MAILBOX
    for offset, mark, description, hint in MAGIC:
        if start.startswith(mark, offset) and (b"\x00" in start or named not in READERS):
            raise Unreadable(_is(description, named), hint)
    return ""


def _zipped(file: Path, named: str) -> str:
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            mime = archive.read("mimetype")[:200].decode("ascii", "replace") if "mimetype" in names else ""
    except BROKEN_ZIP as error:
        if named in PACKED:  # its reader says what is wrong
            return named
        raise Unreadable(_is("a damaged zip archive", named), "Fetch or save it again.") from error
    if mime.startswith("application/epub"):
        return ".epub"
    if match := re.match(r"application/vnd\.oasis\.opendocument\.(\w+)", mime):
        if match[1] in OPENDOCUMENT:
            return OPENDOCUMENT[match[1]]
        raise Unreadable(_is(f"an OpenDocument {match[1]}", named), "Save it as PDF.")
    for begins, suffix in IN_ZIP:
        if any(name.startswith(begins) for name in names):
            return named if named in READERS and READERS[named] == READERS.get(suffix) else suffix
    if any(name.endswith(".iwa") or name.startswith(("Index.zip", "index.apxl")) for name in names):
        raise Unreadable(_is("of Pages, Numbers or Keynote", named), "Export it as Word, PowerPoint, CSV or PDF.")
    raise Unreadable(_is("a zip archive", named), UNPACK)


def _ole(file: Path) -> str:
    """A workbook's suffix; raises `Unreadable` for the other kinds that lie in OLE files."""
    with file.open("rb") as raw, mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for stream, (description, hint) in STREAMS.items():
            if content.find(stream.encode("utf-16-le")) >= 0:
                raise Unreadable(f"is {description}", hint)
        if any(content.find(stream.encode("utf-16-le") + b"\0\0") >= 0 for stream in ("Workbook", "Book")):
            return ".xls"
    raise Unreadable("is encrypted, or of an old kind of Office", "Save it again, without a password.")


def _text(start: bytes) -> str | None:
    """The beginning as text; None if it is none."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(start)  # the last letter may be cut
        if not has_zeros(text):
            return text
    except UnicodeDecodeError:
        pass
    try:
        return decode(start)
    except Unreadable:
        return None


def _by_text(text: str, named: str) -> str:
    """A web page, or a table under a workbook's name, or text under that of another kind; "" for what the name says."""
    begins = text.lstrip("\ufeff \t\r\n").lower()
    if begins.startswith(("<!doctype html", "<html")) or (begins.startswith(("<?xml", "<!--")) and "<html" in begins):
        return ".html"
    if begins.startswith("mime-version:") and "multipart/related" in begins:
        return ".mht"
    if named in (".xls", ".xlsx") and "\t" in text.partition("\n")[0]:
        return ".tsv"
    if named in INSTEAD and text and "\x00" not in text and not begins.startswith("<"):
        return ".txt"
    return ""


def _not_read(named: str, text: bool) -> Unreadable:
    if named in INSTEAD:
        return Unreadable(f"is of an old or closed kind: '{named}'", f"Save it as {INSTEAD[named]} or PDF.")
    hint = "It holds text: if that is worth learning, name it .txt. " if text else ""
    return Unreadable(
        f"is of a kind that is not read: '{named}'", f"{hint}These are: {', '.join(KINDS)}, and source code."
    )


def _is(description: str, named: str) -> str:
    return f"is {description}" + (f" under the name '{named}'" if named in READERS or named in ROWS else "")
