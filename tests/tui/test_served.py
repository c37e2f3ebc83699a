"""`textual serve` shows the app in a browser: a real one is driven, and shows the lines that a terminal would."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.tui.recorded import RUNS, record
from tests.tui.terminal import Terminal
from tests.tui.test_app import PATIENCE, until
from tui.app import GemmalocalApp
from tui.screens.home import HomeScreen

aiohttp = pytest.importorskip("aiohttp", reason="textual-serve is not installed")
pytest.importorskip("textual_serve")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
SERVE = "import sys; from textual_serve.server import Server; Server(sys.argv[1], port=int(sys.argv[2])).serve()"
ALONE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"  # its page asks for a font
WINDOW = (1000, 700)


@contextmanager
def running(*command: str, **how: Any) -> Iterator[subprocess.Popen[str]]:
    """A program that is ended with all that it started."""
    process = subprocess.Popen(command, text=True, start_new_session=True, **how)
    try:
        yield process
    finally:
        os.killpg(process.pid, 9)
        process.wait()


def free_port() -> int:
    """One that nobody listens at."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return int(door.getsockname()[1])


def wait_for(port: int) -> None:
    """Until somebody listens there."""
    end = time.monotonic() + PATIENCE
    while True:
        with socket.socket() as door:
            if door.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < end, "nobody listens"
        time.sleep(0.1)


class Page:
    """A page of the browser, by its own protocol; what it is sent goes to a terminal of ours."""

    def __init__(self, connection: Any) -> None:
        self._connection, self._number = connection, 0
        self.terminal = Terminal()

    async def ask(self, method: str, **params: Any) -> None:
        """Have the browser do something, and wait until it has."""
        self._number += 1
        await self._connection.send_str(json.dumps({"id": self._number, "method": method, "params": params}))
        while (await self._take()).get("id") != self._number:
            pass

    async def press(self, key: str) -> None:
        """A digit, typed by whoever sits there."""
        await self.ask("Runtime.evaluate", expression="document.querySelector('textarea').focus()")
        code = {"key": key, "code": f"Digit{key}", "windowsVirtualKeyCode": ord(key)}
        await self.ask("Input.dispatchKeyEvent", type="keyDown", text=key, unmodifiedText=key, **code)
        await self.ask("Input.dispatchKeyEvent", type="keyUp", **code)

    async def shows(self, word: str) -> None:
        """Wait until the word is on the screen."""
        end = time.monotonic() + PATIENCE
        while not any(word in line for line in self.lines):
            assert time.monotonic() < end, f"no {word!r} in {self.lines}"
            await self._take()

    async def _take(self) -> dict[str, Any]:
        """The next that the browser says."""
        message: dict[str, Any] = json.loads((await self._connection.receive(timeout=PATIENCE)).data)
        if message.get("method") == "Network.webSocketFrameReceived":
            frame = message["params"]["response"]
            if frame["opcode"] == 2:  # bytes for the terminal; text is about it
                self.terminal.write(base64.b64decode(frame["payloadData"]).decode("utf-8", "replace"))
        return message

    @property
    def lines(self) -> list[str]:
        """What is on the screen."""
        cells = self.terminal.cells
        width, height = (max((at[side] for at in cells), default=0) for side in (1, 0))
        return [
            "".join(cells.get((row, column), (" ", None))[0] for column in range(1, width + 1)).rstrip()
            for row in range(1, height + 1)
        ]


@asynccontextmanager
async def browsed(url: str, folder: Path) -> AsyncIterator[Page]:
    """A browser that shows a page."""
    assert BROWSER
    size = "--window-size={},{}".format(*WINDOW)
    flags = ("--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", "--no-first-run", size)
    with running(BROWSER, *flags, ALONE, f"--user-data-dir={folder}", "about:blank", stderr=subprocess.PIPE) as browser:
        assert browser.stderr is not None
        lines = iter(browser.stderr.readline, "")
        port = next(found[1] for line in lines if (found := re.search(r"listening on ws://[^:]+:(\d+)", line)))
        async with aiohttp.ClientSession() as session:
            async with session.put(f"http://127.0.0.1:{port}/json/new?about:blank") as answer:
                address = (await answer.json())["webSocketDebuggerUrl"]
            async with session.ws_connect(address, max_msg_size=0) as connection:
                page = Page(connection)
                await page.ask("Network.enable")
                await page.ask("Emulation.setFocusEmulationEnabled", enabled=True)
                await page.ask("Page.bringToFront")
                await page.ask("Page.navigate", url=url)
                yield page


@pytest.mark.skipif(BROWSER is None, reason="there is no browser here: chromium or Chrome")
async def test_a_browser_shows_what_a_terminal_would(tmp_path: Path) -> None:
    record("quotes-1", RUNS["finished"], 2e9)
    record("quotes-2", RUNS["failed"], 1e9)
    port = free_port()
    command = f"{sys.executable} -m tui"
    with running(sys.executable, "-c", SERVE, command, str(port), stdout=subprocess.DEVNULL):
        await asyncio.to_thread(wait_for, port)
        async with browsed(f"http://localhost:{port}", tmp_path / "browser") as page:
            await page.shows("quotes-2")
            await page.shows("GB free")
            there = [line for line in page.lines if "quotes-" in line]
            size = max(map(len, page.lines)), len(page.lines)
            await page.press("5")
            await page.shows("The trash is empty")
            await page.press("1")
            await page.shows("quotes-1")
    app = GemmalocalApp()
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: isinstance(app.screen, HomeScreen) and app.screen.ready)
        await pilot.pause(0.3)
        strips = app.screen._compositor.render_strips()
        assert there == [strip.text.rstrip() for strip in strips if "quotes-" in strip.text]
