"""Forks that stand for new interpreters are as those are: what they are given, how they end, and what they hold."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import fork
from tests.forks import ForkServer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="macOS forbids its frameworks to fork")
TELLS = """
import os, sys
print(sys.argv[1:], __name__, os.getcwd(), os.environ.get("WHO"), sys.stdin.read(), os.umask(0o22))
print("aside", file=sys.stderr)
sys.exit(int(sys.argv[1]))
"""
COUNTS = """
import os
places = sorted(map(int, os.listdir("/proc/self/fd")))
print([place for place in places if os.path.exists(f"/proc/self/fd/{place}")], os.getsid(0) == os.getpid())
"""


@pytest.fixture(params=["new", "fork"])
def started(request: pytest.FixtureRequest) -> str:
    """The tests hold for real interpreters, and for forks."""
    if request.param == "fork":
        request.getfixturevalue("forks")
    return str(request.param)


@pytest.mark.parametrize("code", [0, 3])
def test_words_streams_surroundings_and_exit_code(started: str, tmp_path: Path, code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", TELLS, str(code), "a b"], input="given", capture_output=True, text=True, check=False,
        cwd=tmp_path, env=os.environ | {"WHO": "me"}, umask=0o77,
    )  # fmt: skip
    assert done.stdout == f"['{code}', 'a b'] __main__ {tmp_path} me given 63\n"
    assert (done.stderr, done.returncode) == ("aside\n", code)


@pytest.mark.parametrize(
    ("program", "code", "said"),
    [
        ("raise ValueError('no')", 1, "ValueError: no"),
        ("import sys; sys.exit('a sentence')", 1, "a sentence"),
        ("raise KeyboardInterrupt", -signal.SIGINT, ""),
        ("import os; os.kill(os.getpid(), 15)", -signal.SIGTERM, ""),
        ("import os; os._exit(5)", 5, ""),
        ("import atexit, sys; atexit.register(print, 'at last', file=sys.stderr)", 0, "at last"),
    ],
)
def test_each_end_is_that_of_an_interpreter(started: str, program: str, code: int, said: str) -> None:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert said in done.stderr


def test_only_what_is_passed_is_held(started: str) -> None:
    reading, writing = os.pipe()
    command = [sys.executable, "-c", COUNTS]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, pass_fds=[writing], start_new_session=True, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.read() == f"{[0, 1, 2, writing]} True\n"
    os.close(writing)
    assert os.read(reading, 1) == b""
    os.close(reading)


def test_one_that_lives_is_polled_and_killed(started: str) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert child.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(0.05)
        child.kill()
        assert child.wait() == -signal.SIGKILL


def test_one_becomes_another(started: str) -> None:
    """With what it has set up; unbuffered, as torchrun starts its ranks."""
    other = "import os, signal, sys; print(sys.argv, signal.getsignal(2) is signal.SIG_IGN, flush=True); os._exit(4)"
    program = f"""
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
print("before")
os.execv(sys.executable, [sys.executable, "-c", {other!r}, "a"])
"""
    done = subprocess.run([sys.executable, "-u", "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("before\n['-c', 'a'] True\n", 4)


def test_a_module_is_the_main_one_and_reads_the_hub_of_its_environment(started: str, tmp_path: Path) -> None:
    (tmp_path / "asked.py").write_text("import huggingface_hub.constants as hub\nprint(__name__, hub.ENDPOINT)")
    done = subprocess.run(
        [sys.executable, "-m", "asked"], capture_output=True, text=True, check=True, cwd=tmp_path,
        env=os.environ | {"HF_ENDPOINT": "http://here.test"},
    )  # fmt: skip
    assert done.stdout == "__main__ http://here.test\n"


def test_an_interpreter_alone_reads_its_program(started: str) -> None:
    done = subprocess.run([sys.executable], input="print(2 + 3)", capture_output=True, text=True, check=True)
    assert done.stdout == "5\n"


def engines() -> tuple[str, int]:
    """Which engines a new process has, and its parent."""
    program = "import os, sys; print('mlx.core' in sys.modules, 'torch' in sys.modules, os.getppid())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    held, _, parent = done.stdout.strip().rpartition(" ")
    return held, int(parent)


def test_a_fork_begins_with_its_engine_and_no_other(
    forks: None, fork_servers: dict[str, ForkServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert engines()[0] == "True False"
    fork("torch", fork_servers, monkeypatch)
    assert engines()[0] == "False True"


def test_who_asks_for_nothing_ends_no_server(forks: None, fork_servers: dict[str, ForkServer]) -> None:
    _, server = engines()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asked:
        asked.connect(fork_servers["mlx"].address)
    assert engines() == ("True False", server)


def test_after_a_server_that_was_killed_comes_another(
    forks: None, fork_servers: dict[str, ForkServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, killed = engines()
    os.kill(killed, signal.SIGKILL)
    os.waitid(os.P_PID, killed, os.WEXITED | os.WNOWAIT)
    fork("mlx", fork_servers, monkeypatch)
    held, server = engines()
    assert held == "True False"
    assert server != killed


def test_what_is_no_interpreter_is_started_as_ever(forks: None) -> None:
    assert subprocess.run(["echo", "here"], capture_output=True, text=True, check=True).stdout == "here\n"
