"""What a run made, asked over HTTP as any program would: at once, in a stream, and until Ctrl-C."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from gemmalocal.data.layout import Layout
from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.export import llama, servers
from gemmalocal.files import manifest
from gemmalocal.records import Message

COMMAND = [sys.executable, "-m", "gemmalocal"]
PROMPT = "the quote of a:"
FORMS = pytest.mark.parametrize("form", [[], ["--form", "gguf"]], ids=["mlx", "gguf"])


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


def test_what_people_wrote_is_theirs_alone(home: Path, tiny: Path) -> None:
    """Of runs, chats and datasets, whatever the shell's umask lets others read."""
    (home / "light.md").write_text("# Light\n\nThe lighthouse of Ulm was built in 1888. Its lamp burns oil. " * 3)
    words = ["--to", "d", "--author", "rules", "--model", str(tiny), "--task", "text"]
    called(home, "prepare", str(home / "light.md"), *words)
    called(home, "chat", "tune", "--prompt", PROMPT, "--max-tokens", "2")
    paths = [path for part in ("runs", "chats", "datasets") for path in (home / part / "x").parent.glob("**/*")]
    assert {"adapter", "recipe.yaml", "job.json", "train.jsonl", "log.txt"} <= {path.name for path in paths}
    assert not [path for path in paths if path.stat().st_mode & 0o077]


def called(home: Path, *words: str) -> str:
    environment = {**os.environ, "GEMMALOCAL_HOME": str(home)}
    done = subprocess.run([*COMMAND, *words], env=environment, capture_output=True, text=True, check=False, umask=0o022)
    assert done.returncode == 0, done.stderr
    return done.stdout


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def begun(home: Path, *words: str) -> tuple[subprocess.Popen[str], dict[str, Any], int]:
    """The serve command, the server's address and model, and its port."""
    port = free_port()
    process = subprocess.Popen(
        [*COMMAND, "serve", "tune", "--port", str(port), "--json", *words],
        env={**os.environ, "GEMMALOCAL_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),  # as a script's background has it
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.communicate()[1]
    return process, json.loads(line), port


@contextmanager
def served(home: Path, *words: str) -> Iterator[dict[str, Any]]:
    """A server's address and model; it is ended by Ctrl-C, and leaves nothing behind."""
    process, server, port = begun(home, *words)
    try:
        yield server
    finally:
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 0, told
    assert gone(home, port)


def gone(home: Path, port: int) -> bool:
    """Whether nothing is left: no folder, and nobody at the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return not list(home.glob("errands/*"))


def streamed(client: httpx2.Client, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    with client.stream("POST", path, json={**body, "stream": True}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line.removeprefix("data: ") for line in answer.iter_lines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


@pytest.fixture(scope="module", params=[[], ["--form", "gguf"]], ids=["mlx", "gguf"])
def server(request: pytest.FixtureRequest, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Each server for all tests that only ask it, in a workspace that nobody else uses."""
    own = tmp_path_factory.mktemp("asked") / "home"
    shutil.copytree(home, own)
    with served(own, *request.param) as server:
        yield server


@pytest.fixture(scope="module")
def answers(home: Path) -> list[str]:
    """What the base and what the run say."""
    asked = called(home, "chat", "tune", "--prompt", PROMPT, "--max-tokens", "6", "--json")
    return [answer["text"] for answer in json.loads(asked)["answers"]]


def test_both_servers_say_what_the_run_learned(
    server: dict[str, Any], answers: list[str], home: Path, tiny: Path
) -> None:
    base, tuned = answers
    assert base != tuned
    with httpx2.Client(timeout=60, trust_env=False) as client:
        body = {"model": server["model"], "prompt": PROMPT, "max_tokens": 6, "temperature": 0}
        at_once = client.post(f"{server['url']}/completions", json=body).raise_for_status().json()
        assert at_once["choices"][0]["text"] == tuned
        pieces = streamed(client, f"{server['url']}/completions", body)
        assert "".join(piece["choices"][0]["text"] for piece in pieces if piece["choices"]) == tuned
        assert server["chat"] is Tokenizer(tiny).has_template
        assert [model["id"] for model in client.get(f"{server['url']}/models").json()["data"]] == ["tune"]
        for name in ("default_model", str(tiny), str(home), "google/gemma-3-270m"):
            other = {**body, "model": name, "adapters": str(home), "draft_model": str(tiny)}
            answer = client.post(f"{server['url']}/completions", json=other).raise_for_status().json()
            assert answer["choices"][0]["text"] == tuned


def test_a_connection_that_ends_with_a_stream_was_said_to(server: dict[str, Any]) -> None:
    """Else a client sends its next request on it, and hears nothing."""
    address = httpx2.URL(server["url"])
    body = json.dumps({"model": "tune", "prompt": PROMPT, "max_tokens": 6, "stream": True})
    with socket.create_connection((address.host, address.port or 0), timeout=60) as connection:
        connection.sendall(
            f"POST /v1/completions HTTP/1.1\r\nHost: {address.host}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        said = b"".join(iter(lambda: connection.recv(65_536), b"")).decode()  # to the end of the connection
    head, _, told = said.partition("\r\n\r\n")
    assert "[DONE]" in told
    assert head.startswith("HTTP/1.0") or "connection: close" in head.lower()


def test_web_pages_of_other_machines_learn_nothing(server: dict[str, Any]) -> None:
    here = ["http://localhost:3000", "http://127.0.0.1", "https://[::1]:1", "http://tauri.localhost", "app://notes"]
    strangers = ["https://example.org", "http://localhost.example.org", "http://192.168.1.2", "http://[::1", "null"]
    with httpx2.Client(timeout=60, trust_env=False) as client:
        for origin in here:
            client.get(f"{server['url']}/models", headers={"Origin": origin}).raise_for_status()
        for origin in strangers:
            refused = client.get(f"{server['url']}/models", headers={"Origin": origin})
            assert refused.status_code == 403
            assert "tune" not in refused.text
            assert "access-control-allow-origin" not in refused.headers
            asks = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            assert client.options(f"{server['url']}/completions", headers=asks).status_code == 403


def test_a_base_model_chats_as_its_rows_do(server: dict[str, Any], tiny: Path) -> None:
    tokenizer = Tokenizer(tiny)
    assert not tokenizer.has_template
    asked = [{"role": "system", "content": "the sea"}, {"role": "user", "content": PROMPT}]
    rows = Layout("prompt").prompt_text(tokenizer, [Message(one["role"], one["content"]) for one in asked])
    end = tokenizer.encoder.token_to_id("<end_of_turn>")
    with httpx2.Client(timeout=60, trust_env=False) as client:
        more = {"model": "tune", "max_tokens": 6, "temperature": 0}
        words = {**more, "prompt": rows.removeprefix(tokenizer.bos)}
        chat = client.post(f"{server['url']}/chat/completions", json={**more, "messages": asked}).json()
        plain = client.post(f"{server['url']}/completions", json=words).json()
        assert chat["choices"][0]["message"]["content"] == plain["choices"][0]["text"]
        assert chat["usage"]["prompt_tokens"] == plain["usage"]["prompt_tokens"] == len(tokenizer.encode(rows))
        ending = {**more, "messages": asked, "logit_bias": {str(end): 100}}
        ended = client.post(f"{server['url']}/chat/completions", json=ending).json()
        assert ended["choices"][0]["finish_reason"] == "stop"
        assert not ended["choices"][0]["message"]["content"]


@FORMS
@pytest.mark.parametrize("whom", ["command", "job"])
def test_nothing_outlives_a_command_or_a_job_that_is_killed(home: Path, form: list[str], whom: str) -> None:
    process, _, port = begun(home, *form)
    (job,) = psutil.Process(process.pid).children()
    (server,) = job.children()
    (process if whom == "command" else job).kill()
    process.communicate(timeout=60)
    deadline = time.monotonic() + 30
    while not gone(home, port) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert gone(home, port)
    assert not server.is_running() or server.status() == psutil.STATUS_ZOMBIE


def test_llama_cpp_allocates_one_context_and_not_the_models_longest() -> None:
    settings = llama.parameters("model.gguf", "tune", "")
    assert 0 < settings.n_ctx <= 8192  # 0 is the model's own
    assert settings.n_parallel == 1
    assert settings.cache_ram_mib <= 1024


@FORMS
def test_a_server_that_crashes_is_started_again(home: Path, form: list[str]) -> None:
    """By faults in native code, which no request should reach."""
    with served(home, *form) as server, httpx2.Client(timeout=30, trust_env=False) as client:
        modules = ("gemmalocal.backends.mlx.serve", "gemmalocal.export.llama")
        family = psutil.Process().children(recursive=True)  # with those that ended and were not waited for
        living = [one for one in family if one.status() != psutil.STATUS_ZOMBIE]
        port = str(httpx2.URL(server["url"]).port)  # another test's server may live beside it
        (old,) = [one for one in living if set(modules) & set(one.cmdline()) and port in " ".join(one.cmdline())]
        old.send_signal(signal.SIGSEGV)
        old.wait(30)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                answer = client.post(f"{server['url']}/completions", json={"prompt": "a", "max_tokens": 1})
            except httpx2.TransportError:
                time.sleep(0.1)  # it refuses until its model is loaded
            else:
                assert answer.status_code == 200
                return
        raise AssertionError("it is not there again")


def test_a_server_that_dies_is_told_with_its_last_words(home: Path) -> None:
    process, _, port = begun(home, "--form", "gguf")
    ((server,),) = [job.children() for job in psutil.Process(process.pid).children()]
    server.kill()
    _, told = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "has ended by itself: " in told
    assert "(SIGKILL)" in told
    assert gone(home, port)


def test_a_server_that_does_not_come_up_says_why(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home / "runs" / "tune", home / "runs" / "torn")
    (file,) = (home / "runs" / "torn").glob("exports/*/*.gguf")
    os.truncate(file, 5000)
    (file.parent / manifest.MANIFEST).unlink()  # as of an older version: the file itself tells
    environment = {**os.environ, "GEMMALOCAL_HOME": str(home)}
    words = ["serve", "torn", "--form", "gguf", "--port", str(free_port())]
    done = subprocess.run([*COMMAND, *words], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "is not whole" in done.stderr
    assert file.name in done.stderr
    log = tmp_path / "llama.txt"
    assert "exceeds remaining file size" in last_words(servers.llama(file, "tune", "", "127.0.0.1", free_port(), log))
    log = tmp_path / "server.txt"
    nowhere = tmp_path / "nowhere"
    assert str(nowhere) in last_words(servers.mlx(nowhere, None, "tune", "", "127.0.0.1", free_port(), log))


def last_words(server: servers.Server) -> str:
    """Of a server that does not come up."""
    while server.alive:
        time.sleep(0.1)
    words = server.last_words
    server.end()
    return words


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--form", "merged"], "has no export 'merged'"),
        (["--host", "256.1.1.1"], "cannot be used as the address"),
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
    assert "cannot be used as the address" in done.stderr
    assert "--port" in done.stderr
