"""Mail: a message (.eml, .mht) or a box of them (.mbox)."""

from __future__ import annotations

import email
import mailbox
from collections.abc import Iterator
from email import policy
from email.message import EmailMessage
from pathlib import Path

from gemmalocal.documents.document import Content, Section, Unreadable
from gemmalocal.documents.html import page
from gemmalocal.documents.text import decode
from gemmalocal.jobs.plurals import counted
from gemmalocal.records import Rejected

HEADERS = ("From", "To", "Date", "Subject")


def read_mail(file: Path, password: str | None = None) -> Content:
    """One message: who wrote to whom, and its text; attachments are named in a warning."""
    return _message(email.message_from_bytes(file.read_bytes(), policy=policy.default))


def read_mailbox(file: Path, password: str | None = None) -> Content:
    """All messages as one document, a section a message."""
    sections, refused = list[Section](), 0
    for message in messages(file):
        if isinstance(message, Rejected):
            refused += 1
        else:
            sections += message[1].sections
    if not sections:
        raise Unreadable("holds no message with text", "Leave it out.")
    count = counted(refused, "message was", "messages were")
    return Content("", sections, (f"{count} not read.",) if refused else ())


def messages(file: Path) -> Iterator[tuple[str, Content] | Rejected]:
    """Each message of a box with its place ("mail.mbox:3")."""
    box = mailbox.mbox(file, create=False)
    try:
        for number, key in enumerate(box.iterkeys(), 1):
            source = f"{file.name}:{number}"
            try:
                yield source, _message(email.message_from_bytes(box.get_bytes(key), policy=policy.default))
            except Unreadable as problem:
                yield Rejected(source, str(problem))
    finally:
        box.close()


def _message(message: EmailMessage) -> Content:
    headers = [f"{name}: {value}" for name in HEADERS if (value := _header(message, name))]
    text = _text(message)
    if not text.strip():
        raise Unreadable("is empty: there is no text in the message", "Leave it out.")
    title = _header(message, "Subject")
    attached = [name for part in message.walk() if (name := _name(part))]
    warnings = (f"Attachments, which are not read: {', '.join(attached[:8])}.",) if attached else ()
    return Content(title, [Section("\n".join(headers) + "\n\n" + text, title)], warnings)


def _header(message: EmailMessage, name: str) -> str:
    try:
        return " ".join(str(message.get(name) or "").split())
    except Exception:  # the parser of headers raises what it likes on broken ones
        return ""


def _name(part: EmailMessage) -> str:
    """What an attachment is called; "" for what belongs to the text."""
    try:
        return (part.get_filename() or "attachment") if part.get_content_disposition() == "attachment" else ""
    except Exception:  # as above
        return "attachment"


def _text(message: EmailMessage) -> str:
    """The plain text of a message, or what its page shows."""
    texts = {"text/plain": "", "text/html": ""}
    for part in message.walk():
        kind = part.get_content_type()
        if kind in texts and not texts[kind] and not _name(part):
            content = part.get_payload(decode=True)
            if isinstance(content, bytes) and content:
                texts[kind] = decode(content, part.get_content_charset() or "")
    if texts["text/plain"].strip():
        return texts["text/plain"]
    return "\n\n".join(section.text for section in page(texts["text/html"]).sections) if texts["text/html"] else ""
