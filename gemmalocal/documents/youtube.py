"""Transcripts of videos, fetched only because the user names a YouTube address."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gemmalocal.documents.document import Content, Section, Unreadable

if TYPE_CHECKING:
    from requests import Session

PREFIX = "youtube:"
VIDEO = re.compile(
    r"(?:youtube:|https?://(?:www\.|m\.)?youtube\.com/\S*?[?&]v=|https?://youtu\.be/)([\w-]{11})(?![\w-])"
)
LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "ja", "zh", "ko", "hi", "ar", "ru")  # first choices, then any
PART = 300  # seconds of a section


def is_address(source: str) -> bool:
    """Does a source name a video? What begins like one but is none is told so by `read_transcript`."""
    return source.startswith((PREFIX, "https://", "http://"))


def read_transcript(source: str, session: Session | None = None) -> Content:
    """What is said in a video, a section for every five minutes; captions made by hand go first.

    `source` is youtube:ID or the video's address. Raises `Unreadable` if it has no captions or cannot be had.
    """
    video = VIDEO.match(source)
    if video is None:
        raise Unreadable("is not the address of a YouTube video", "Use youtube:ID, or save a web page as .html.")
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        raise Unreadable("needs a network, and HF_HUB_OFFLINE is set", "Unset it for this command.")
    try:
        import requests
        import youtube_transcript_api as api
    except ImportError as error:
        raise Unreadable("needs an extra", "pip install 'gemmalocal[youtube]'") from error
    try:
        offered = list(api.YouTubeTranscriptApi(http_client=session).list(video[1]))
        offered.sort(key=lambda transcript: (transcript.is_generated, _rank(transcript.language_code)))
        spoken = offered[0].fetch()
    except api.CouldNotRetrieveTranscript as error:
        why = re.sub(r"\W+", " ", re.sub("([A-Z])", r" \1", type(error).__name__)).strip().lower()
        raise Unreadable(f"has no transcript that can be downloaded: {why}", "Choose a video with captions.") from error
    except requests.RequestException as error:
        raise Unreadable("cannot be fetched: YouTube does not answer", "Check the network.") from error
    parts: dict[int, list[str]] = {}
    for snippet in spoken:
        parts.setdefault(int(snippet.start // PART), []).append(" ".join(snippet.text.split()))
    return Content(f"YouTube {video[1]}", spoken_sections(parts))


def _rank(code: str) -> int:
    language = code.partition("-")[0]
    return LANGUAGES.index(language) if language in LANGUAGES else len(LANGUAGES)


def spoken_sections(parts: Mapping[int, Sequence[str]]) -> list[Section]:
    """A section for each part of `PART` seconds, by its number from 0, with the time at which it begins."""
    return [Section(" ".join(lines), _clock(part * PART)) for part, lines in parts.items()]


def _clock(seconds: int) -> str:
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
