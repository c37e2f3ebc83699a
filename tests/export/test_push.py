"""gemmalocal push, login, logout and whoami: the real huggingface_hub against a Hub on the loopback."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gemmalocal.export import publish, upload
from gemmalocal.jobs import processes
from gemmalocal.jobs.events import Event, Failed, Finished
from gemmalocal.workspace import datasets
from tests import here
from tests.children import HANGS, until, until_ended
from tests.weights import hub_server, hub_writes
from tests.weights.hub_writes import ACCOUNTS, Published

PUSHED = {
    "README.md", "NOTICE", "adapter_config.json", "adapter_model.safetensors", "losses.svg", "proof.json",
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    """A workspace with a run that has learned something, on a base whose path is somebody's own."""
    folder = tmp_path_factory.mktemp("pushed")
    rows = [{"prompt": f"the {word}:", "completion": f" and {word} the quote."} for word in "abcdefghijklmnopqrst"]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "tune.yaml").write_text(
        f"model: {tiny}\ndata:\n  path: {folder / 'rows.jsonl'}\n  split: 0.3\nlora: {{rank: 8, alpha: 16}}\n"
        "train: {steps: 30, batch_size: 4, learning_rate: 2e-3, evaluate_every: 15}\n"
        "samples: {prompts: ['the a:'], max_tokens: 5}\n"
    )
    done = here.run("train", str(folder / "tune.yaml"), "--name", "tune", home=folder)
    assert done.returncode == 0, done.stderr
    (folder / "errands").mkdir(exist_ok=True)
    return folder


@pytest.fixture
def hub(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Published]:
    """An empty hub, and an environment whose client knows no other; it is logged in as a writer."""
    with hub_writes.running() as found:
        hub_server.only(found.url, tmp_path / "hf", monkeypatch)
        monkeypatch.setenv("GEMMALOCAL_HOME", str(trained))
        (tmp_path / "hf").mkdir()
        (tmp_path / "hf" / "token").write_text("hf_writer")
        yield found


def run(*words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gemmalocal", *words], capture_output=True, text=True, timeout=HANGS, check=False,
        input=given,
    )  # fmt: skip


def test_the_adapter_is_proved_pushed_and_pulled_and_nothing_else_goes_along(
    hub: Published, trained: Path, tiny: Path, tmp_path: Path
) -> None:
    done = run("push", "tune", "me/tune", "--private", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["url"], report["created"], report["private"]) == (f"{hub.url}/me/tune", True, True)
    files = hub.repositories["me/tune"].files
    assert set(files) == PUSHED
    assert {one["name"]: one["bytes"] for one in report["files"]} == {name: len(what) for name, what in files.items()}
    assert json.loads(files["proof.json"])["passed"] is True
    assert json.loads(files["adapter_config.json"])["base_model_name_or_path"] == tiny.name
    assert b"Gemma Terms of Use" in files["NOTICE"]
    assert b'"me/tune"' in files["README.md"]
    everything = b"\n".join(files.values())
    assert not any(str(place).encode() in everything for place in (trained, tiny, Path.home() / "x"))
    again = run("push", "tune", "me/tune", "--json")
    assert (json.loads(again.stdout)["created"], json.loads(again.stdout)["private"]) == (False, True)
    assert len(hub.put()) == 1, "what the Hub has is not sent again"
    assert pulled("me/tune", "adapter_model.safetensors") == files["adapter_model.safetensors"]


@pytest.mark.usefixtures("forks")
def test_what_was_pushed_as_merged_is_a_model_to_fetch(hub: Published, trained: Path, tiny: Path) -> None:
    folder = trained / "runs" / "tune" / "exports" / "merged-float32"
    shutil.copytree(tiny, folder)
    (folder / "proof.json").write_text('{"passed": true}')
    assert isinstance(push(trained, trained / "runs" / "tune", "club/whole", form="merged"), Finished)
    fetched = run("fetch", "club/whole", "--json")
    assert fetched.returncode == 0, fetched.stderr
    folder = Path(json.loads(fetched.stdout)["path"])
    files = hub.repositories["club/whole"].files
    assert {"config.json", "model.safetensors", "tokenizer.json"} < {path.name for path in folder.iterdir()}
    assert (folder / "model.safetensors").read_bytes() == files["model.safetensors"]
    assert (folder / "tokenizer.json").read_bytes() == (tiny / "tokenizer.json").read_bytes()


def test_a_dry_run_needs_no_network_and_lists_what_would_go(hub: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    done = run("push", "tune", "me/tune", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in PUSHED)
    assert "would go to the model me/tune, public if it is new" in done.stdout
    assert hub.requests == []


@pytest.mark.usefixtures("forks")
@pytest.mark.parametrize("end", ["killed", "interrupted"])
def test_an_upload_that_was_cut_goes_on(hub: Published, trained: Path, tmp_path: Path, end: str) -> None:
    """Two large files: the first came whole, the second is cut in its midst."""
    folder = tmp_path / "rows"
    folder.mkdir()
    (folder / "README.md").write_text("# Rows\n")
    for name in ("a", "b"):
        content = np.random.default_rng(ord(name)).bytes(40_000 if name == "a" else 16_000_000)
        (folder / f"{name}.parquet").write_bytes(content)
    hub.gate.clear()
    job = pushing(trained, folder, "me/rows", "dataset")
    until(lambda: len(hub.put()) == 2, job)
    if end == "killed":
        os.killpg(int((job.directory / "lock").read_text().split()[0]), signal.SIGKILL)
    else:
        job.ask(do="stop")
        until(lambda: '"stopping"' in (job.directory / "events.jsonl").read_text(), job)
    hub.gate.set()
    until_ended(job)
    last = job.poll()[-1]
    assert end == "killed" or (isinstance(last, Finished) and last.outcome == "stopped")
    assert hub.repositories["me/rows"].files == {}, "half of a dataset is in no commit"
    assert len(hub.sent) == 1
    hub.requests.clear()
    assert isinstance(push(trained, folder, "me/rows", "dataset"), Finished)
    assert len(hub.put()) == 1
    assert hub.repositories["me/rows"].files == {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_connection_that_breaks_once_is_tried_again(hub: Published, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Rows\n")
    (tmp_path / "a.parquet").write_bytes(np.random.default_rng(0).bytes(400_000))
    hub.cuts = 1
    assert isinstance(push(trained, tmp_path, "me/rows", "dataset"), Finished)
    assert len(hub.put()) == 2
    assert hub.repositories["me/rows"].files["a.parquet"] == (tmp_path / "a.parquet").read_bytes()


def test_a_prepared_dataset_goes_with_its_card_and_without_what_was_rejected(
    hub: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEMMALOCAL_HOME", str(tmp_path / "home"))
    folder = tmp_path / "home" / "datasets" / "light"
    folder.mkdir(parents=True)
    row = {"messages": [{"role": "user", "content": "When?"}, {"role": "assistant", "content": "In 1889."}]}
    rows: dict[str, list[dict[str, Any]]] = {"train.jsonl": [row | {"source": "/home/me/light.pdf"}]}
    rows |= {"held_out.jsonl": [], "rejected.jsonl": [row | {"reason": "no evidence"}]}
    datasets.write(folder, rows, {"task": "qa"})
    done = run("push", "light", "me/light", "--dataset")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"{hub.url}/datasets/me/light"
    files = hub.repositories["me/light"].files
    assert set(files) == {"README.md", "train.jsonl"}
    assert json.loads(pulled("me/light", "train.jsonl", "dataset")) == row
    assert b"train.jsonl" in files["README.md"]


@pytest.mark.usefixtures("forks")
@pytest.mark.parametrize(
    ("token", "name", "environment", "code", "sentence", "remedy"),
    [
        ("", "me/new", {}, 3, "No token of the Hub is here", "gemmalocal login"),
        ("hf_wrong", "me/new", {}, 3, "does not take your token", "gemmalocal login"),
        ("hf_writer", "me/new", {"HF_TOKEN": "hf_wrong"}, 3, "does not take your token", "The one in HF_TOKEN goes"),
        ("hf_reader", "me/new", {}, 3, "may only read", "settings/tokens"),
        ("hf_narrow", "me/new", {}, 3, "you don't have the rights", "accept the terms"),
        ("hf_writer", "you/new", {}, 3, "would be somebody else's: you are me", "me, club"),
        ("hf_writer", "new", {}, 2, "cannot be a name", "owner/name"),
        ("hf_writer", "me/--", {}, 2, "cannot be a name", "owner/name"),
        ("hf_writer", "me/new", {"HF_HUB_OFFLINE": "1"}, 3, "HF_HUB_OFFLINE forbids", "Unset HF_HUB_OFFLINE"),
        ("hf_writer", "me/new", {"HF_ENDPOINT": "http://127.0.0.1:9"}, 1, "broke off", "Check the network"),
    ],
)
def test_each_refusal_has_its_sentence_and_remedy(
    hub: Published, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: str, name: str,
    environment: dict[str, str], code: int, sentence: str, remedy: str,
) -> None:  # fmt: skip
    (tmp_path / "hf" / "token").write_text(token)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    last = push(trained, trained / "runs" / "tune", name)
    assert isinstance(last, Failed)
    assert last.code == code
    assert sentence in last.message
    assert remedy in last.hint
    assert hub.repositories == {}


@pytest.mark.usefixtures("forks")
@pytest.mark.parametrize(
    ("where", "status", "said", "code", "sentence"),
    [
        ("objects/batch", 413, "Payload too large", 3, "finds it too large"),
        ("commit/main", 403, "You must accept our terms first.", 3, "You must accept our terms first"),
        ("repos/create", 409, "You already created this repo", 3, "You already created this repo"),
        ("commit/main", 429, "Slow down", 1, "wants fewer requests"),
        ("repos/create", 500, "Oh", 1, "answered 500"),
    ],
)
def test_what_the_hub_says_is_said(
    hub: Published, trained: Path, tmp_path: Path, where: str, status: int, said: str, code: int, sentence: str
) -> None:
    hub.refusals[where] = (status, said)
    (tmp_path / "README.md").write_text("# Rows\n")
    (tmp_path / "a.parquet").write_bytes(b"rows")
    last = push(trained, tmp_path, "me/rows", "dataset")
    assert isinstance(last, Failed)
    assert (last.code, sentence in last.message) == (code, True), last


@pytest.mark.usefixtures("forks")
def test_what_was_public_does_not_become_private_by_itself(hub: Published, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Rows\n")
    assert isinstance(push(trained, tmp_path, "me/rows", "dataset"), Finished)
    last = push(trained, tmp_path, "me/rows", "dataset", private=True)
    assert isinstance(last, Failed)
    assert "is there already, and public" in last.message


def test_only_what_was_proved_goes_out(hub: Published, trained: Path) -> None:
    folder = trained / "runs" / "tune" / "exports" / "gguf-Q4_0"
    folder.mkdir(parents=True)
    (folder / "proof.json").write_text('{"passed": false}')
    lost = push(trained, trained / "runs" / "tune", "me/tune", form="gguf-Q4_0")
    assert isinstance(lost, Failed)
    assert "lost what was learned" in lost.message
    assert "more bits" in lost.hint
    none = push(trained, trained / "runs" / "tune", "me/tune", form="ollama")
    assert isinstance(none, Failed)
    assert "gemmalocal export tune --to ollama" in none.hint
    (folder / "proof.json").write_text('{"passed": true}')
    os.utime(folder / "proof.json", (1, 1))
    old = push(trained, trained / "runs" / "tune", "me/tune", form="gguf")
    assert isinstance(old, Failed)
    assert "what it made last" in old.message
    assert hub.repositories == {}


@pytest.mark.usefixtures("forks")
def test_a_file_that_tells_of_this_machine_stays_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "README.md").write_text(f"See {tmp_path}/rows.jsonl")
    for name in ("job.json", "events.jsonl", "log.txt", "optimizer.safetensors.tmp", ".env", "training_args.bin"):
        (tmp_path / name).write_text("secret")
    from gemmalocal.errors import ModelError

    with pytest.raises(ModelError, match="README.md names a folder of this machine"):
        publish.dataset(tmp_path)
    (tmp_path / "README.md").write_text("---\nlicense: gemma\n---\n")
    assert [item.name for item in publish.model(tmp_path, "me/x")] == ["README.md", "NOTICE"]


def test_login_keeps_the_token_in_the_librarys_store_and_nowhere_else(
    hub: Published, trained: Path, tmp_path: Path
) -> None:
    assert run("logout").returncode == 0
    assert not (tmp_path / "hf" / "token").exists()
    assert run("whoami").returncode == 3
    wrong = run("login", "--token-stdin", given="hf_wrong\n")
    assert wrong.returncode == 3
    assert "does not take your token" in wrong.stderr
    done = run("login", "--token-stdin", given="hf_writer\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:2] == ["me", "token: may write, from huggingface_hub's store"]
    assert (tmp_path / "hf" / "token").read_text() == "hf_writer"
    assert (tmp_path / "hf" / "token").stat().st_mode & 0o077 == 0
    known = json.loads(run("whoami", "--json").stdout)
    assert known == {
        "name": "me", "role": "write", "source": "huggingface_hub's store", "organizations": {"club": "write"},
    }  # fmt: skip
    empty = run("login", given="\n")
    assert empty.returncode == 2
    assert "No token was given" in empty.stderr


@pytest.mark.usefixtures("forks")
def test_login_by_browser_shows_an_address_and_a_code(hub: Published, tmp_path: Path) -> None:
    (tmp_path / "hf" / "token").unlink()
    done = run("login", "--browser")
    assert done.returncode == 0, done.stderr
    assert f"{hub.url}/device" in done.stderr
    assert "ABCD-1234" in done.stderr
    assert "hf_" not in done.stderr + done.stdout.replace("huggingface_hub", "")
    assert (tmp_path / "hf" / "token").read_text() == "hf_browser"


def test_a_token_is_written_nowhere(hub: Published, trained: Path, tmp_path: Path) -> None:
    """Jobs whose folders are kept, with tokens that work and that do not: all that was written since holds none."""
    for token in ("hf_writer", "hf_reader", "hf_narrow", "hf_wrong"):
        (tmp_path / "hf" / "token").write_text(token)
        last = push(trained, trained / "runs" / "tune", "me/tune")
        assert isinstance(last, Finished if token == "hf_writer" else Failed)
    written = {file: file.read_bytes() for file in trained.rglob("*") if file.is_file()}
    assert len(written) > 30
    written |= {Path(name): content for name, content in hub.repositories["me/tune"].files.items()}
    tokens = [token.encode() for token in (*ACCOUNTS, "hf_wrong")]
    assert not [file for file, content in written.items() if any(token in content for token in tokens)]


def test_progress_is_told_by_the_bytes_of_either_protocol() -> None:
    """Xet cannot be spoken on the loopback: its real reporter is handed what hf_xet would report."""
    from huggingface_hub.utils import _xet_progress_reporting as xet
    from huggingface_hub.utils.tqdm import tqdm

    told: list[int] = []
    report = SimpleNamespace(
        total_bytes=100, total_bytes_completed=60, total_bytes_completion_rate=1.0, total_transfer_bytes=50,
        total_transfer_bytes_completed=30, total_transfer_bytes_completion_rate=1.0,
    )  # fmt: skip
    with upload._counted(told.append):
        xet.XetUploadProgressReporter().update_progress(report, {})
    with upload._counted(told.append):
        bar = tqdm(total=100)  # type: ignore[no-untyped-call]
        bar.update(10)
        bar.update(20)
    assert told == [60, 10, 30]


def pulled(name: str, file: str, kind: str = "model") -> bytes:
    """A file of a repository, downloaded by the real client."""
    script = "import sys, huggingface_hub as hub\nprint(hub.hf_hub_download(*sys.argv[1:3], repo_type=sys.argv[3]))"
    done = subprocess.run([sys.executable, "-c", script, name, file, kind], capture_output=True, text=True, check=True)
    return Path(done.stdout.strip()).read_bytes()


def pushing(home: Path, path: Path, name: str, kind: str = "model", **more: Any) -> processes.Job:
    """The job of `gemmalocal push`, tied to us as that is, which waits for nobody else's work; its folder stays."""
    spec = {"path": str(path), "kind": kind, "name": name, "form": None, "private": False, "dry": False, **more}
    return processes.start(Path(mkdtemp(dir=home / "errands")), "push", spec, tied=True)


def push(home: Path, path: Path, name: str, kind: str = "model", **more: Any) -> Event:
    """Its last word."""
    job = pushing(home, path, name, kind, **more)
    until_ended(job)
    return job.poll()[-1]
