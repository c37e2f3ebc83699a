"""What files put into text that no reader sees: soft hyphens, ligatures, control characters."""

from __future__ import annotations

import re
import unicodedata

FORMS = re.compile("[\ufb00-\ufdff\ufe70-\ufefc]")  # ligatures and presentation forms, of Latin, Hebrew and Arabic
SOFT = re.compile("[\u00ad\x02\ufffe][ \t]*\n?[ \t]*(?=\\w)")  # a soft hyphen, and the end of line behind it
INVISIBLE = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f\u00ad\u200b\u2060\ufeff\ufffe\uffff]")


def plain(text: str) -> str:
    """The text as it is meant: Unix line ends, no soft hyphens, ligatures as letters, no invisible characters."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x0c", "\n")
    if not text.isascii():
        text = SOFT.sub("", text.replace("\u2028", "\n"))
        text = FORMS.sub(lambda form: unicodedata.normalize("NFKC", form[0]), text)
        text = text.replace("\u00a0", " ").replace("\u2029", "\n\n")
        text = re.sub("[\ud800-\udfff]", "\ufffd", text)  # half a character
    elif "\x02" in text:
        text = SOFT.sub("", text)
    text = INVISIBLE.sub("", text)
    if " \n" in text or "\t\n" in text:
        text = re.sub(r"[ \t]+\n", "\n", text)
    return (re.sub(r"\n{3,}", "\n\n", text) if "\n\n\n" in text else text).strip()
