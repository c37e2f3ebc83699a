"""EPUB: a zip of web pages in the order that its package file gives."""

from __future__ import annotations

import posixpath
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from gemmalocal.documents import safe_xml
from gemmalocal.documents.document import Content, Section, Unreadable
from gemmalocal.documents.html import body
from gemmalocal.documents.markup import bounded
from gemmalocal.documents.packed import check
from gemmalocal.documents.text import decode
from gemmalocal.jobs.plurals import counted

PAGES = ("application/xhtml+xml", "text/html")


def read_epub(file: Path, password: str | None = None) -> Content:
    """The book's chapters in reading order; raises `Unreadable` if they are encrypted (DRM) or missing."""
    check(file)
    with zipfile.ZipFile(file) as book:
        package_path = _xml(book, "META-INF/container.xml").find(".//{*}rootfile").get("full-path")
        package = _xml(book, package_path)
        title = package.findtext(".//{*}metadata/{*}title") or ""
        chapters = _chapters(package, posixpath.dirname(package_path))
        locked = _locked(book) & set(chapters)
        if locked:
            raise Unreadable("is encrypted (DRM)", "Use a copy without DRM.")
        sections: list[Section] = []
        hidden = 0
        for chapter in chapters:
            try:
                content = body(bounded(decode(book.read(chapter))))
                sections += content.sections
                hidden += bool(content.warnings)
            except (Unreadable, KeyError):  # a page of pictures only, or one that is not there
                continue
    if not sections:
        raise Unreadable("is empty: there is no text in its chapters", "Leave it out.")
    where = counted(hidden, "chapter")
    return Content(title, sections, (f"Hidden text was left out of {where}.",) if hidden else ())


def _chapters(package: Any, folder: str) -> list[str]:
    """The names in the zip file of what the spine lists, each once, but for the table of contents."""
    items = {item.get("id"): item for item in package.iterfind(".//{*}manifest/{*}item")}
    spine = [items.get(entry.get("idref")) for entry in package.iterfind(".//{*}spine/{*}itemref")]
    names = (
        posixpath.normpath(posixpath.join(folder, unquote(item.get("href", ""))))
        for item in spine
        if item is not None and item.get("media-type") in PAGES and "nav" not in item.get("properties", "").split()
    )
    return list(dict.fromkeys(names))


def _locked(book: zipfile.ZipFile) -> set[str]:
    """Names of members that are encrypted; fonts often are, which does not matter here."""
    if "META-INF/encryption.xml" not in book.namelist():
        return set()
    references = _xml(book, "META-INF/encryption.xml").iterfind(".//{*}CipherReference")
    return {unquote(reference.get("URI", "")) for reference in references}


def _xml(book: zipfile.ZipFile, name: str) -> Any:
    return safe_xml.parse(book.read(name))
