"""What was filled into a PDF's form, and notes that were typed onto its pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ctypes import byref, c_ushort
from functools import partial
from typing import Any

from gemmalocal.documents.pdf_characters import Box
from gemmalocal.documents.pdf_text import Filled

INVISIBLE = 1 << 1 | 1 << 5  # an annotation's flags: hidden, not to be viewed
SECRET = 1 << 13  # a field's flag: a password
MOST = 1000  # lines of a list
LONGEST = 1 << 20  # bytes of a value


def prepare(pdf: Any) -> None:
    """Make the values of a PDF's fields known, before a page of it is opened."""
    if pdf.get_formtype():
        pdf.init_forms()


def values(pdf: Any, page: Any) -> list[Filled]:
    """The values of a page's fields and its free-text notes."""
    from pypdfium2 import raw

    filled = []
    for index in range(raw.FPDFPage_GetAnnotCount(page)):
        note = raw.FPDFPage_GetAnnot(page, index)
        if raw.FPDFAnnot_GetSubtype(note) in (raw.FPDF_ANNOT_WIDGET, raw.FPDF_ANNOT_FREETEXT):
            filled += _value(pdf.formenv, note)
        raw.FPDFPage_CloseAnnot(note)
    return filled


def _value(form: Any, note: Any) -> list[Filled]:
    from pypdfium2 import raw

    if raw.FPDFAnnot_GetFlags(note) & INVISIBLE:
        return []
    text = _field(form, note) if raw.FPDFAnnot_GetSubtype(note) == raw.FPDF_ANNOT_WIDGET else _contents(note)
    rect = raw.FS_RECTF()
    if not text or not raw.FPDFAnnot_GetRect(note, byref(rect)):
        return []
    return [Filled(Box(rect.left, rect.bottom, rect.right, rect.top), text)]


def _contents(note: Any) -> str:
    from pypdfium2 import raw

    return _text(lambda buffer, size: raw.FPDFAnnot_GetStringValue(note, b"Contents", buffer, size))


def _field(form: Any, note: Any) -> str:
    """A field as it is seen: its text, its choice, "[x]" or "[ ]"."""
    from pypdfium2 import raw

    if form is None:  # fields that belong to no form
        value = _text(lambda buffer, size: raw.FPDFAnnot_GetStringValue(note, b"V", buffer, size))
        return "" if value == "Off" else value
    kind = raw.FPDFAnnot_GetFormFieldType(form, note)
    if kind in (raw.FPDF_FORMFIELD_CHECKBOX, raw.FPDF_FORMFIELD_RADIOBUTTON):
        return "[x]" if raw.FPDFAnnot_IsChecked(form, note) else "[ ]"
    if kind == raw.FPDF_FORMFIELD_LISTBOX:
        return "\n".join(_options(form, note))
    if kind not in (raw.FPDF_FORMFIELD_TEXTFIELD, raw.FPDF_FORMFIELD_COMBOBOX):
        return ""
    if raw.FPDFAnnot_GetFormFieldFlags(form, note) & SECRET:
        return ""
    return _text(lambda buffer, size: raw.FPDFAnnot_GetFormFieldValue(form, note, buffer, size))


def _options(form: Any, note: Any) -> Iterator[str]:
    """The lines of a list, of which some are chosen."""
    from pypdfium2 import raw

    for index in range(min(raw.FPDFAnnot_GetOptionCount(form, note), MOST)):
        label = _text(partial(raw.FPDFAnnot_GetOptionLabel, form, note, index))
        yield f"{'[x]' if raw.FPDFAnnot_IsOptionSelected(form, note, index) else '[ ]'} {label}"


def _text(get: Callable[[Any, int], int]) -> str:
    """A string that PDFium writes into a buffer of 16-bit units."""
    size = min(get(None, 0), LONGEST)
    if size <= 2:
        return ""
    buffer = (c_ushort * (size // 2))()
    get(buffer, size)
    text = bytes(buffer)[: size - 2].decode("utf-16-le", "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()
