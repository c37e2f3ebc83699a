"""Subtitles (.srt, .vtt): what is said, without the times."""

from __future__ import annotations

import re
from pathlib import Path

from gemmalocal.documents.document import Content, Unreadable
from gemmalocal.documents.text import decode
from gemmalocal.documents.youtube import PART, spoken_sections

CUE = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d{2})[.,]\d{1,3}[ \t]*-->")
TAG = re.compile(r"<[^>\n]{0,200}>|\{\\[^}\n]{0,100}\}")


def read_subtitles(file: Path, password: str | None = None) -> Content:
    """What is said, a section for every five minutes; lines that roll on, as machines write .vtt, are said once."""
    parts: dict[int, list[str]] = {}
    last, rolling = "", file.suffix.lower() == ".vtt"
    for block in re.split(r"\n[ \t]*\n", decode(file.read_bytes()).replace("\r\n", "\n").replace("\r", "\n")):
        lines = block.strip("\ufeff\n").split("\n")
        at = next((number for number, line in enumerate(lines) if CUE.match(line.strip())), None)
        if at is None or not (cue := CUE.match(lines[at].strip())):
            continue
        seconds = int(cue[1] or 0) * 3600 + int(cue[2]) * 60 + int(cue[3])
        for line in lines[at + 1 :]:
            spoken = " ".join(TAG.sub("", line).split())
            if spoken and not (rolling and spoken == last):
                parts.setdefault(seconds // PART, []).append(spoken)
                last = spoken
    if not parts:
        raise Unreadable("is empty: there are no subtitles in it", "Leave it out.")
    return Content("", spoken_sections(parts))
