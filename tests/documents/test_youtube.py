"""Transcripts, with the library's real requests answered from a recording."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
from requests.adapters import BaseAdapter

from gemmalocal.documents.document import Unreadable
from gemmalocal.documents.read import read
from gemmalocal.documents.youtube import read_transcript
from gemmalocal.errors import DocumentError

VIDEO = "dQw4w9WgXcQ"
WATCH = f"https://www.youtube.com/watch?v={VIDEO}"


def track(code: str, generated: bool) -> dict[str, Any]:
    return {
        "baseUrl": f"https://www.youtube.com/api/timedtext?lang={code}",
        "name": {"runs": [{"text": code}]},
        "languageCode": code,
        "isTranslatable": False,
        **({"kind": "asr"} if generated else {}),
    }


class Recorded(BaseAdapter):  # type: ignore[misc]
    """Answers as YouTube does: a page, the player's answer, and captions as XML."""

    def __init__(self, captions: list[dict[str, Any]]) -> None:
        super().__init__()
        self.captions = captions
        self.broken = False
        self.asked: list[str] = []

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        url = str(request.url)
        self.asked.append(url)
        if self.broken:
            raise requests.ConnectionError("refused")
        answer = requests.Response()
        answer.status_code, answer.url, answer.request, answer.encoding = 200, url, request, "utf-8"
        answer._content = self._body(url).encode()
        return answer

    def _body(self, url: str) -> str:
        if "/watch" in url:
            return '<html>"INNERTUBE_API_KEY": "key"</html>'
        if "/player" in url:
            captions = {"playerCaptionsTracklistRenderer": {"captionTracks": self.captions}} if self.captions else {}
            return json.dumps({"playabilityStatus": {"status": "OK"}, "captions": captions})
        texts = "".join(
            f'<text start="{start}" dur="2">{text}</text>'
            for start, text in ((0, "Hello\nall"), (1, "of you."), (301, "Bye."))
        )
        return f"<transcript>{texts}</transcript>"

    def close(self) -> None:
        pass


def session(*captions: dict[str, Any]) -> tuple[requests.Session, Recorded]:
    adapter, talk = Recorded(list(captions)), requests.Session()
    talk.mount("https://", adapter)
    return talk, adapter


@pytest.mark.parametrize("source", [f"youtube:{VIDEO}", WATCH, f"{WATCH}&t=3", f"https://youtu.be/{VIDEO}"])
def test_a_transcript_by_five_minutes(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    talk, adapter = session(track("en", True), track("fr", False), track("de", False))
    content = read_transcript(source, talk)
    assert [(section.heading, section.text) for section in content.sections] == [
        ("0:00:00", "Hello all of you."),
        ("0:05:00", "Bye."),
    ]
    assert "lang=de" in adapter.asked[-1]  # made by hand goes before generated


def test_no_captions_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    talk, _ = session()
    with pytest.raises(Unreadable, match="no transcript that can be downloaded: transcripts disabled"):
        read_transcript(WATCH, talk)


def test_no_connection_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    talk, adapter = session()
    adapter.broken = True
    with pytest.raises(Unreadable, match="cannot be fetched"):
        read_transcript(WATCH, talk)


def test_no_network_is_used_offline_and_no_other_address_is_fetched() -> None:
    with pytest.raises(DocumentError, match="HF_HUB_OFFLINE is set"):
        read(f"youtube:{VIDEO}")
    for source in ("https://example.org/a.html", "youtube:short"):
        with pytest.raises(DocumentError, match="is not the address of a YouTube video"):
            read(source)
