"""What a run made, asked over HTTP as any program would: at once, in a stream, and until Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gemmalocal.data.tokenizer import Tokenizer

COMMAND = [sys.executable, "-m", "gemmalocal"]
PROMPT = "the quote of a:"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    """A workspace with a tuned run, and its GGUF."""
    folder = tmp_path_factory.mktemp("served")
    rows = [json.dumps({"prompt": f"the {word}:", "completion": " a quote"}) for word in ("sky", "sea", "sun", "day")]
    (folder / "rows.jsonl").write_text("\n".join(rows))
    (folder / "tune.yaml").write_text(
        f"model: {tiny}\ndata: {{path: {folder / 'rows.jsonl'}, max_length: 32, split: 0.25}}\nlora: {{rank: 4}}\n"
        "train: {steps: 12, batch_size: 3, learning_rate: 1e-2}\n"
    )
    called(folder, "train", str(folder / "tune.yaml"), "--name", "tune")
    called(folder, "export", "tune", "--to", "gguf", "--type", "BF16")
    return folder


def called(home: Path, *words: str) -> str:
    environment = {**os.environ, "GEMMALOCAL_HOME": str(home)}
    done = subprocess.run([*COMMAND, *words], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def served(home: Path, *words: str) -> Iterator[dict[str, Any]]:
    """A server's address and model; it is ended by Ctrl-C, and leaves nothing behind."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [*COMMAND, "serve", "tune", "--port", str(port), "--json", *words],
        env={**os.environ, "GEMMALOCAL_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    try:
        assert line, process.communicate()[1]
        yield json.loads(line)
    finally:
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 0, told
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
    assert not list(home.glob("errands/*"))


def streamed(client: httpx2.Client, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    with client.stream("POST", path, json={**body, "stream": True}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line.removeprefix("data: ") for line in answer.iter_lines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


@pytest.mark.parametrize("form", [[], ["--form", "gguf"]])
def test_both_servers_say_what_the_run_learned(home: Path, tiny: Path, form: list[str]) -> None:
    asked = called(home, "chat", "tune", "--prompt", PROMPT, "--max-tokens", "6", "--json")
    base, tuned = (answer["text"] for answer in json.loads(asked)["answers"])
    assert base != tuned
    with served(home, *form) as server, httpx2.Client(timeout=60, trust_env=False) as client:
        body = {"model": server["model"], "prompt": PROMPT, "max_tokens": 6, "temperature": 0}
        at_once = client.post(f"{server['url']}/completions", json=body).raise_for_status().json()
        assert at_once["choices"][0]["text"] == tuned
        pieces = streamed(client, f"{server['url']}/completions", body)
        assert "".join(piece["choices"][0]["text"] for piece in pieces if piece["choices"]) == tuned
        assert server["chat"] is Tokenizer(tiny).has_template
        assert client.get(f"{server['url']}/models").json()["object"] == "list"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--form", "merged"], "has no export 'merged'"),
        (["--host", "256.1.1.1"], "cannot be listened at"),
    ],
)
def test_what_cannot_be_served_says_why(home: Path, words: list[str], says: str) -> None:
    environment = {**os.environ, "GEMMALOCAL_HOME": str(home)}
    done = subprocess.run(
        [*COMMAND, "serve", "tune", *words], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode in (1, 2)
    assert says in done.stderr


def test_a_port_that_is_taken_is_told(home: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        environment = {**os.environ, "GEMMALOCAL_HOME": str(home)}
        words = ["serve", "tune", "--port", str(other.getsockname()[1])]
        done = subprocess.run([*COMMAND, *words], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "cannot be listened at" in done.stderr
    assert "--port" in done.stderr
