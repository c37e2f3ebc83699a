"""Strict Open XML (ISO/IEC 29500) as the transitional kind that libraries know: it has other names for the same."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gemmalocal.documents.packed import BROKEN_ZIP, check, temporary

STRICT = re.compile(rb"http://purl\.oclc\.org/ooxml/(\w+)/")
RENAMED = {b"extendedProperties": b"extended-properties", b"customProperties": b"custom-properties"}
OPEN_XML = (".docx", ".docm", ".pptx", ".pptm", ".xlsx", ".xlsm")


@contextmanager
def transitional(file: Path, kind: str) -> Iterator[Path]:
    """A file as it is; of a strict one, a temporary copy under the names that are known."""
    if kind not in OPEN_XML or not _is_strict(file):
        yield file
        return
    check(file)
    with temporary(file.name) as copy:
        with zipfile.ZipFile(file) as old, zipfile.ZipFile(copy, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new:
            for member in old.infolist():
                content = old.read(member)
                if member.filename.endswith((".xml", ".rels")):
                    content = STRICT.sub(rb"http://schemas.openxmlformats.org/\1/2006/", content)
                    for name, known_name in RENAMED.items():
                        content = content.replace(b"officeDocument/2006/relationships/" + name, known_name)
                new.writestr(member.filename, content)
        yield copy


def _is_strict(file: Path) -> bool:
    try:
        with zipfile.ZipFile(file) as archive:
            return b"http://purl.oclc.org/ooxml/" in archive.read("_rels/.rels")
    except BROKEN_ZIP:
        return False  # its reader says what is wrong
