"""Why work ended, from what a library or the system said: a sentence and a remedy.

MLX aborts the process when a Metal command buffer fails (mlx-lm#236), so no Python error is raised: the end of the log
is all there is.
"""

from __future__ import annotations

import signal
from typing import NamedTuple

from gemmalocal.errors import GemmalocalError, OutOfMemory, WorkKilled, going_on

LESS_MEMORY = "--set train.micro_batch=1 --set train.checkpointing=true"
BY_PERSON = "It was killed by hand.", "Nothing is wrong with it: resume goes on from what was saved last."
AGAIN = "If it was memory: close other programs, or take a smaller model, and start it again."


class Cause(NamedTuple):
    """`signs` are a library's words; any of them in a text tells the cause."""

    signs: tuple[str, ...]
    kind: type[GemmalocalError]
    message: str
    hint: str


WATCHDOG = Cause(  # mlx#3267
    ("Impacting Interactivity", "kIOGPUCommandBufferCallbackErrorTimeout", "Caused GPU Timeout"),
    WorkKilled,
    "macOS ended the GPU's work because it held up the display (the GPU watchdog).",
    "Let the display sleep (pmset displaysleepnow) and resume. AGX_RELAX_CDM_CTXSTORE_TIMEOUT=1 in the environment "
    "helped on some Macs, smaller batches did not; a lower train.save_every loses less.",
)
BUFFERS = Cause(  # mlx-lm#1185
    ("Resource limit (",),
    OutOfMemory,
    "The GPU ran out of buffers: their number is limited, whatever their size.",
    f"Resume: a new process counts from zero. If it happens again, resume with {LESS_MEMORY}.",
)
MEMORY = Cause(
    (
        "Insufficient Memory",
        "out of memory",
        "bad_alloc",
        "Cannot allocate",
        "Unable to allocate",
        "malloc]",
        "[malloc",
    ),
    OutOfMemory,
    "The work did not fit into memory.",
    f"Close other programs, and resume with {LESS_MEMORY}; or start again with a lower data.max_length.",
)
PEER = Cause(  # MLX's ring, gloo
    ("connection to a peer was lost", "Connection closed by peer", "Connection reset by peer"),
    WorkKilled,
    "Another process of this run is gone, and with it its share of the work.",
    "What it said is in log.<rank>.txt in the run's folder. Start all of them again with: resume",
)


def from_text(text: str) -> GemmalocalError | None:
    """The error that a library's words stand for, if they are known."""
    for cause in (WATCHDOG, BUFFERS, MEMORY, PEER):
        if any(sign in text for sign in cause.signs):
            return cause.kind(cause.message, cause.hint)
    return None


def explain(log: str, code: int | None) -> GemmalocalError:
    """Why a job died without a last word: from its log's end, and the exit code if the watcher was its parent.

    `code` is negative for a signal, as `subprocess` has it.
    """
    if error := from_text(log):
        return error
    if code == -signal.SIGKILL:
        message = "It was killed (SIGKILL): by a person, or by the system because memory ran out."
        return OutOfMemory(message, f"If it was memory: {going_on(MEMORY.hint)}")
    if code is not None and code < 0:
        return WorkKilled(f"It crashed ({signal.Signals(-code).name}).", "The end of its log may say more.")
    return WorkKilled(
        "It ended without saying why: by kill -9, a power cut, or the system because memory ran out.",
        f"If it was memory: {going_on(MEMORY.hint)}",
    )
