"""The page in a real browser: nothing is asked of a network, nothing runs, nothing is cut on paper or on a phone."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import numpy as np
import pypdfium2
import pytest

from gemmalocal.evaluation.page import html
from tests.children import HANGS
from tests.evaluation.test_page import figures

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars")
OWN = ("--disable-background-networking", "--disable-component-update", "--disable-sync")  # requests of the browser's
LOADS = '<!DOCTYPE html><img src="http://example.com/a.png">'

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium and no Chrome is installed here")


@pytest.fixture
def asked() -> Iterator[tuple[int, list[bytes]]]:
    """The port of a proxy that refuses everything, and what it was asked."""
    requests: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    requests.append(connection.recv(4096))

        Thread(target=refuse, daemon=True).start()
        yield listener.getsockname()[1], requests
        listener.shutdown(socket.SHUT_RDWR)


def browse(page: str, folder: Path, proxy: int, *words: str) -> None:
    """Open a page, and make of it what `words` say."""
    file = folder / "page.html"
    file.write_text(page, encoding="utf-8")
    options = [*QUIET, *OWN, f"--user-data-dir={folder / 'user'}", f"--proxy-server=http://127.0.0.1:{proxy}"]
    command = [str(BROWSER), *options, *words, file.as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=HANGS)


def test_nothing_is_loaded_nothing_is_cut(tmp_path: Path, asked: tuple[int, list[bytes]]) -> None:
    proxy, requests = asked
    browse(LOADS, tmp_path, proxy, f"--screenshot={tmp_path / 'loads.png'}")
    assert any(b"example.com" in request for request in requests)  # so would be seen
    requests.clear()
    page = html.page({**figures(), "against": "another-run-with-quite-a-long-name"})
    paper, phone = tmp_path / "page.pdf", tmp_path / "phone.png"
    browse(page, tmp_path, proxy, "--no-pdf-header-footer", f"--print-to-pdf={paper}")
    browse(page, tmp_path, proxy, "--window-size=390,3000", f"--screenshot={phone}")
    assert not [request for request in requests if b"example.com" in request]
    document = pypdfium2.PdfDocument(paper)
    text = ""
    for sheet in document:
        of_sheet, (width, _) = sheet.get_textpage(), sheet.get_size()
        text += of_sheet.get_text_range() + "\n"
        rights = [of_sheet.get_charbox(place)[2] for place in range(of_sheet.count_chars())]
        assert max(rights, default=0) < width
    for words in ("<script>alert(1)</script>", "98,500 more characters", "length by the reference's", "Wilson"):
        assert words in " ".join(text.split())
    assert margin(phone) == 1  # of one colour: what is wider than the screen would stand there


def margin(picture: Path) -> int:
    """How many colours the right edge of a picture has."""
    from PIL import Image

    pixels = np.array(Image.open(picture).convert("RGB"))[:, -6:]
    return len(np.unique(pixels.reshape(-1, 3), axis=0))
