"""Why a job died, from log tails as MLX, macOS and the shell leave them."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from gemmalocal.backends.mlx.errors import translated
from gemmalocal.errors import KILLED, OutOfMemory, WorkKilled
from gemmalocal.jobs import exit_causes
from gemmalocal.jobs.processes import ATTEMPT, Job

ABORT = "libc++abi: terminating due to uncaught exception of type std::runtime_error: "
MEMORY = (
    f"{ABORT}[METAL] Command buffer execution failed: Insufficient Memory "
    "(00000008:kIOGPUCommandBufferCallbackErrorOutOfMemory)"
)
TIMEOUT = (
    f"{ABORT}[METAL] Command buffer execution failed: Caused GPU Timeout Error "
    "(00000002:kIOGPUCommandBufferCallbackErrorTimeout)"
)
DISPLAY = (
    f"{ABORT}[METAL] Command buffer execution failed: Impacting Interactivity "
    "(0000000e:kIOGPUCommandBufferCallbackErrorImpactingInteractivity)"
)
BUFFERS = f"{ABORT}[metal::malloc] Resource limit (499000) exceeded."
SIZE = "RuntimeError: [metal::malloc] Attempting to allocate 9e10 bytes which is greater than the maximum allowed"
CPP = "terminate called after throwing an instance of 'std::bad_alloc'\n  what():  std::bad_alloc"


@pytest.mark.parametrize(
    ("log", "code", "kind", "says", "remedy"),
    [
        (MEMORY, -signal.SIGABRT, OutOfMemory, "did not fit into memory", "train.micro_batch=1"),
        (MEMORY, None, OutOfMemory, "did not fit into memory", "train.checkpointing=true"),
        (TIMEOUT, -signal.SIGABRT, WorkKilled, "GPU watchdog", "AGX_RELAX_CDM_CTXSTORE_TIMEOUT=1"),
        (DISPLAY, -signal.SIGABRT, WorkKilled, "GPU watchdog", "pmset displaysleepnow"),
        (BUFFERS, -signal.SIGABRT, OutOfMemory, "number is limited", "counts from zero"),
        (SIZE, 1, OutOfMemory, "did not fit into memory", "data.max_length"),
        (CPP, -signal.SIGABRT, OutOfMemory, "did not fit into memory", "train.micro_batch=1"),
        ("loading\n", -signal.SIGKILL, OutOfMemory, "SIGKILL", "close other programs"),
        ("", -signal.SIGSEGV, WorkKilled, "SIGSEGV", "its log"),
        ("some warning\n", None, WorkKilled, "without saying why", "If it was memory"),
    ],
)
def test_signs_become_a_sentence_and_a_remedy(log: str, code: int | None, kind: type, says: str, remedy: str) -> None:
    cause = exit_causes.explain(f"UserWarning: something harmless\n{log}\n", code)
    assert type(cause) is kind
    assert cause.code == KILLED
    assert says in cause.message
    assert remedy in cause.hint


def test_only_the_newest_attempt_is_looked_at(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_bytes(ATTEMPT + b"then\n" + MEMORY.encode() + b"\n")
    assert "Insufficient Memory" in Job(tmp_path).log_tail()
    with log.open("ab") as file:
        file.write(ATTEMPT + b"now\nall is well\n" + b"x" * 10)
    assert Job(tmp_path).log_tail() == "now\nall is well\n" + "x" * 10
    log.write_bytes(b"y" * 100_000)
    assert set(Job(tmp_path).log_tail()) == {"y"}
    assert Job(tmp_path / "nowhere").log_tail() == ""


def raised(error: Exception) -> Exception:
    try:
        with translated():
            raise error
    except Exception as found:
        return found


def test_what_mlx_raises_is_translated_alike() -> None:
    assert isinstance(raised(RuntimeError(SIZE)), OutOfMemory)
    assert "9e10 bytes" in str(vars(raised(RuntimeError(SIZE)))["message"])
    assert isinstance(raised(RuntimeError(DISPLAY)), WorkKilled)
    assert isinstance(raised(MemoryError("Unable to allocate 3 GiB")), OutOfMemory)
    other = RuntimeError("[matmul] shapes do not agree")
    assert raised(other) is other
