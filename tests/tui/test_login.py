"""A gated model is fetched without a shell: where its terms are, a token that nobody sees, and the fetch once more."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.widgets import Input, Static

from gemmalocal.files import paths
from gemmalocal.jobs import processes
from tests.children import until_ended
from tests.tui.test_app import until
from tests.weights import hub_server, hub_writes
from tests.weights.hub_server import Repository
from tests.weights.hub_writes import Published
from tui.app import GemmalocalApp
from tui.screens.confirm import ConfirmScreen
from tui.screens.errand_screen import ErrandScreen
from tui.screens.home import HomeScreen
from tui.screens.login import LoginScreen
from tui.screens.models import ModelsScreen
from tui.screens.palette import Palette
from tui.widgets.run_table import RunTable

TOKENS = ("hf_wrong", "hf_stranger", "hf_accepted")


@pytest.fixture
def hub(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Published]:
    """A hub with a gated model, whose terms one of two people has accepted."""
    for token in TOKENS[1:]:
        monkeypatch.setitem(hub_writes.ACCOUNTS, token, {"name": token[3:], "role": "read", "orgs": []})
    with hub_writes.running() as found:
        files = {path.name: path.read_bytes() for path in tiny.iterdir()}
        found.repositories["google/gated"] = Repository(files, gated=True)
        hub_server.only(found.url, tmp_path / "hf", monkeypatch)
        yield found


def words(app: GemmalocalApp) -> str:
    return "\n".join(str(part.content) for part in app.screen.query(Static))


@pytest.mark.usefixtures("forks")
async def test_a_gated_model_asks_for_a_token_and_is_fetched_again(hub: Published, tmp_path: Path) -> None:
    app = GemmalocalApp()
    async with app.run_test(size=(100, 30)) as pilot:
        await app.push_screen(screen := ModelsScreen())
        await until(pilot, lambda: screen.ready)
        assert hub.requests == []
        await pilot.press("n", *"google/gated", "enter")
        await until(pilot, lambda: isinstance(app.screen, LoginScreen) and "no token is here" in words(app))
        assert "https://huggingface.co/google/gated" in words(app)
        await pilot.press("ctrl+y")
        assert app.clipboard == "https://huggingface.co/google/gated"
        await pilot.press("enter")
        assert "No token was given." in words(app)
        app.screen.query_one(Input).value = TOKENS[0]
        await pilot.press("enter")
        await until(pilot, lambda: "does not take your token" in words(app))
        app.screen.query_one(Input).value = TOKENS[1]
        assert TOKENS[1] not in app.export_screenshot()
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, LoginScreen) and "has not accepted its terms" in words(app))
        app.screen.query_one(Input).value = TOKENS[2]
        await pilot.press("enter")
        cache = tmp_path / "hf" / "hub" / "models--google--gated"
        await until(pilot, lambda: any(cache.glob("snapshots/*/model.safetensors")) and not screen._working)
    assert (tmp_path / "hf" / "token").read_text() == TOKENS[2]
    assert (tmp_path / "hf" / "token").stat().st_mode & 0o077 == 0
    written = [file for file in paths.workspace().rglob("*") if file.is_file()]
    assert not [file for file in written if any(token.encode() in file.read_bytes() for token in TOKENS)]


@pytest.mark.usefixtures("forks")
async def test_enter_tries_again_once_the_terms_are_accepted(
    hub: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKENS[1])
    app = GemmalocalApp()
    async with app.run_test(size=(100, 30)) as pilot:
        await app.push_screen(screen := ModelsScreen())
        await until(pilot, lambda: screen.ready)
        await pilot.press("n", *"google/gated", "enter")
        await until(pilot, lambda: isinstance(app.screen, LoginScreen))
        hub.repositories["google/gated"].gated = False  # as for somebody who has accepted
        await pilot.press("enter")
        cache = tmp_path / "hf" / "hub" / "models--google--gated"
        await until(pilot, lambda: any(cache.glob("snapshots/*/model.safetensors")) and not screen._working)


@pytest.mark.usefixtures("forks")
async def test_log_in_who_and_log_out_are_in_the_palette(hub: Published, tmp_path: Path) -> None:
    app = GemmalocalApp()
    kept = tmp_path / "hf" / "token"
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, HomeScreen) and app.screen.query(RunTable))

        async def ask(line: str, screen: type) -> None:
            await pilot.press("ctrl+p")
            await until(pilot, lambda: isinstance(app.screen, Palette))
            await pilot.press(*line, "enter")
            await until(pilot, lambda: isinstance(app.screen, screen))

        await ask("login", LoginScreen)
        assert hub.requests == []
        app.screen.query_one(Input).value = TOKENS[2]
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen) and kept.is_file())
        await ask("whoam", ErrandScreen)
        await until(pilot, lambda: "accepted" in words(app))
        await pilot.press("escape")
        await ask("logout", ConfirmScreen)
        await pilot.press("right", "enter")
        await until(pilot, lambda: not kept.exists())


async def test_offline_nothing_is_asked(hub: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    app = GemmalocalApp()
    async with app.run_test(size=(100, 30)) as pilot:
        await app.push_screen(LoginScreen(lambda: None))
        app.screen.query_one(Input).value = TOKENS[2]
        await pilot.press("enter")
        await until(pilot, lambda: "HF_HUB_OFFLINE forbids the network" in words(app))
        assert "Start the app without HF_HUB_OFFLINE" in words(app)
    assert hub.requests == []


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells what a process was started with")
def test_a_secret_is_in_no_process_and_in_no_file(hub: Published, workspace: Path) -> None:
    job = processes.errand("account", {"do": "login"}, TOKENS[2])
    assert job._process is not None
    started = Path(f"/proc/{job._process.pid}")
    told = [(started / name).read_bytes() for name in ("environ", "cmdline")]
    told += [file.read_bytes() for file in job.directory.iterdir() if file.is_file()]
    until_ended(job)
    told += [file.read_bytes() for file in job.directory.iterdir() if file.is_file()]
    assert len(told) > 6
    assert not [text for text in told if TOKENS[2].encode() in text]
    assert TOKENS[2] not in "".join(os.environ.values())


def test_a_secret_without_an_end_does_not_hold_up_the_app(hub: Published, workspace: Path) -> None:
    job = processes.errand("account", {"do": "login"}, "hf_" + "x" * 1_000_000)
    until_ended(job)
    assert any("does not take your token" in str(event) for event in job.poll())
