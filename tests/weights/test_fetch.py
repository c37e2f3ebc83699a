"""gemmalocal fetch, with the real huggingface_hub over HTTP on the loopback, in child processes as a user has it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gemmalocal.files import staging
from gemmalocal.jobs import processes
from gemmalocal.jobs.events import Failed, Finished, Progress, Report
from tests.children import HANGS, until, until_ended
from tests.weights import hub_server
from tests.weights.hub_server import Hub, Repository

SECRETS = ("hf_accepted", "hf_stranger", "hf_wrong")


@pytest.fixture
def hub(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with an open and a gated model, and an environment whose client knows no other."""
    files = {path.name: path.read_bytes() for path in tiny.iterdir()}
    files |= {"README.md": b"A tiny Gemma.", "LICENSE": b"Terms.", "training_args.bin": b"pickle"}
    files |= {"pytorch_model.bin": b"pickle", "tiny.gguf": b"GGUF", "onnx/model.onnx": b"x", "onnx/config.json": b"{}"}
    with hub_server.running(Hub()) as found:
        found.repositories["someone/tiny"] = Repository(files)
        found.repositories["google/gated"] = Repository(files, gated=True)
        hub_server.only(found.url, tmp_path / "hf", monkeypatch)
        yield found


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gemmalocal", *words], capture_output=True, text=True, timeout=HANGS, check=False
    )


def test_only_what_is_needed_comes_and_comes_once(hub: Hub, recipe_path: Path) -> None:
    done = run("fetch", "someone/tiny", "--json")
    assert done.returncode == 0, done.stderr
    folder = Path(json.loads(done.stdout)["path"])
    assert {path.name for path in folder.iterdir()} == {
        "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "README.md", "LICENSE",
    }  # fmt: skip
    assert (folder / "model.safetensors").read_bytes() == hub.repositories["someone/tiny"].files["model.safetensors"]
    assert not any("whoami" in path for _, path in hub.requests)
    hub.requests.clear()
    again = run("fetch", "someone/tiny")
    assert (again.returncode, Path(again.stdout.strip())) == (0, folder)
    assert hub.downloads() == []
    os.truncate(folder / "model.safetensors", 1000)  # a disk that was full, a copy that was cut
    mended = run("fetch", "someone/tiny")
    assert mended.returncode == 0, mended.stderr
    assert (folder / "model.safetensors").read_bytes() == hub.repositories["someone/tiny"].files["model.safetensors"]
    hub.requests.clear()
    checked = run("check", str(recipe_path), "--set", "model=someone/tiny", "--json")
    assert checked.returncode == 0, checked.stderr
    assert hub.requests == []  # what is in the cache needs no network
    listed = [json.loads(line) for line in run("models", "--json").stdout.splitlines()]
    mine = next(entry for entry in listed if entry["name"] == "someone/tiny")
    assert (mine["place"], mine["train"], mine["chat"]) == ("Hub cache", "yes", True)


@pytest.mark.usefixtures("forks")
def test_a_gguf_file_comes_when_it_is_named(hub: Hub) -> None:
    done = run("fetch", "someone/tiny", "--gguf", "tiny.gguf")
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).read_bytes() == b"GGUF"
    assert "model.safetensors" not in hub.downloads()
    other = run("fetch", "someone/tiny", "--gguf", "other.gguf")
    assert other.returncode == 3
    assert "tiny.gguf" in other.stderr


@pytest.mark.usefixtures("forks")
@pytest.mark.parametrize(
    ("model", "environment", "code", "sentence", "remedy"),
    [
        ("google/gated", {}, 3, "gated, and no token", "gemmalocal login"),
        (
            "google/gated",
            {"HF_TOKEN": "hf_stranger"},
            3,
            "has not accepted its terms",
            "https://huggingface.co/google/",
        ),
        ("google/gated", {"HF_TOKEN": "hf_wrong"}, 3, "does not take your token", "gemmalocal login"),
        ("google/nothing", {}, 3, "no model 'google/nothing'", "gemmalocal models"),
        ("google/nothing", {"HF_TOKEN": "hf_accepted"}, 3, "no model 'google/nothing'", "gemmalocal models"),
        ("a/b/c", {}, 3, "cannot be a name", "owner/name"),
        ("someone/tiny", {"HF_HUB_OFFLINE": "1"}, 3, "HF_HUB_OFFLINE forbids", "Unset HF_HUB_OFFLINE"),
        ("someone/tiny", {"HF_ENDPOINT": "http://127.0.0.1:9"}, 1, "broke off", "Check the network"),
    ],
)
def test_each_refusal_has_its_sentence_and_remedy(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, model: str, environment: dict[str, str], code: int, sentence: str,
    remedy: str,
) -> None:  # fmt: skip
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    done = run("fetch", model)
    assert done.returncode == code, done.stderr
    assert sentence in done.stderr
    assert remedy in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert not any(secret in done.stdout + done.stderr for secret in SECRETS)


@pytest.mark.usefixtures("forks")
def test_a_token_opens_a_gated_model_and_is_written_nowhere(
    hub: Hub, workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for token, kind in (("hf_accepted", Report), ("hf_stranger", Failed)):
        monkeypatch.setenv("HF_TOKEN", token)
        shutil.rmtree(tmp_path / "hf", ignore_errors=True)
        job = processes.start(workspace / "errands" / token, "fetch", {"model": "google/gated"})
        until_ended(job)
        assert any(isinstance(event, kind) for event in job.poll())
    written = [file.read_bytes() for file in workspace.rglob("*") if file.is_file()]
    assert len(written) > 6
    assert not any(secret.encode() in content for content in written for secret in SECRETS)


@pytest.mark.usefixtures("forks")
def test_what_holds_no_safetensors_is_refused(hub: Hub) -> None:
    hub.repositories["a/pickled"] = Repository({"config.json": b"{}", "pytorch_model.bin": b"pickle"})
    hub.repositories["a/quantized"] = Repository({"x-Q4_0.gguf": b"GGUF"})
    pickled, quantized = run("fetch", "a/pickled"), run("fetch", "a/quantized")
    assert (pickled.returncode, quantized.returncode) == (3, 3)
    assert "pickled weights are never loaded" in pickled.stderr
    assert "--gguf x-Q4_0.gguf" in quantized.stderr
    assert hub.downloads() == []


@pytest.mark.usefixtures("forks")
def test_too_small_a_disk_is_said_before_the_download(hub: Hub) -> None:
    hub.repositories["someone/tiny"].sizes["model.safetensors"] = 10**16
    done = run("fetch", "someone/tiny")
    assert done.returncode == 1
    assert "takes 10,000,000 GB more" in done.stderr
    assert "HF_HOME" in done.stderr
    assert hub.downloads() == []


def test_ctrl_c_stops_and_the_same_command_goes_on(hub: Hub, workspace: Path, tmp_path: Path) -> None:
    hub.gate.clear()
    process = subprocess.Popen([sys.executable, "-m", "gemmalocal", "fetch", "someone/tiny"], stderr=subprocess.PIPE)
    until(lambda: "model.safetensors" in hub.downloads(), process)
    process.send_signal(signal.SIGINT)
    until(lambda: any('"stopping"' in file.read_text() for file in workspace.glob("errands/*/events.jsonl")), process)
    hub.gate.set()
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert b"the same command goes on" in told
    assert not list((tmp_path / "hf").rglob("*.incomplete"))
    hub.requests.clear()
    assert run("fetch", "someone/tiny").returncode == 0
    assert hub.downloads() == ["model.safetensors"]


@pytest.mark.usefixtures("forks")
def test_a_killed_download_goes_on_with_the_files_that_are_missing(hub: Hub, workspace: Path) -> None:
    hub.gate.clear()
    job = processes.start(workspace / "errands" / "one", "fetch", {"model": "someone/tiny"})
    until(lambda: "model.safetensors" in hub.downloads(), job)
    os.killpg(int((job.directory / "lock").read_text().split()[0]), signal.SIGKILL)
    until_ended(job)
    hub.gate.set()
    hub.requests.clear()
    again = processes.start(workspace / "errands" / "two", "fetch", {"model": "someone/tiny"})
    until_ended(again)
    events = again.poll()
    assert isinstance(events[-1], Finished)
    assert hub.downloads() == ["model.safetensors"]
    assert [event.done <= event.total for event in events if isinstance(event, Progress)]


@pytest.mark.usefixtures("forks")
def test_a_connection_that_breaks_is_said(hub: Hub) -> None:
    hub.cut.add("model.safetensors")
    done = run("fetch", "someone/tiny")
    assert done.returncode == 1
    assert "broke off" in done.stderr
    assert "finished are kept" in done.stderr
    hub.cut.clear()
    assert run("fetch", "someone/tiny").returncode == 0


@pytest.mark.usefixtures("forks")
def test_what_is_no_hub_name_takes_no_network(hub: Hub, tiny: Path) -> None:
    here = run("fetch", str(tiny))
    assert (here.returncode, Path(here.stdout.strip())) == (0, tiny.resolve())
    nothing = run("fetch", "nonesuch")
    assert nothing.returncode == 3
    assert "There is no model 'nonesuch'." in nothing.stderr
    assert hub.requests == []


def test_what_a_killed_download_left_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    from gemmalocal.weights import hub as ours

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    blobs, locks = tmp_path / "models--me--tiny" / "blobs", tmp_path / ".locks" / "models--me--tiny"
    for folder in (blobs, locks):
        folder.mkdir(parents=True)
    for name in ("abc.12ab34cd.incomplete", "def.12ab34cd.incomplete", "whole"):
        (blobs / name).write_text("x")
    (locks / "def.lock").touch()
    with staging.held(locks / "def.lock"):  # somebody downloads it now
        ours._sweep("me/tiny")
    assert sorted(path.name for path in blobs.iterdir()) == ["def.12ab34cd.incomplete", "whole"]
