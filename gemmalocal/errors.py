"""Everything that can go wrong, said to a person: what happened, what to do, and an exit code.

Exit codes: 0 finished, 1 failed, 2 recipe, data or usage, 3 model or backend missing, 4 killed or out of memory,
130 interrupted. A report that was made, and printed, ends with 3 if its run hurts.
"""

from __future__ import annotations

FAILED, USAGE, MISSING, KILLED, INTERRUPTED = 1, 2, 3, 4, 130


class GemmalocalError(Exception):
    """Base of all our errors: `message` is one sentence, `hint` the remedy, `code` the exit code."""

    code = FAILED

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if hint:
            self.add_note(hint)  # where Python prints it, as in a notebook


def going_on(remedy: str) -> str:
    """A remedy as the rest of a sentence that has begun: without its capital."""
    return remedy[:1].lower() + remedy[1:]


class UsageFault(GemmalocalError):
    """A command that was not given what it needs."""

    code = USAGE


class RecipeError(GemmalocalError):
    """A recipe that cannot be run as written."""

    code = USAGE


class DatasetError(GemmalocalError):
    """Rows that cannot be read, or none left to train on."""

    code = USAGE


class DocumentError(GemmalocalError):
    """A document that cannot be read."""

    code = USAGE


class JobBusy(GemmalocalError):
    """A job directory that is already being worked on."""

    code = USAGE


class UnknownRun(GemmalocalError):
    """A run that is not there."""

    code = USAGE


class ModelError(GemmalocalError):
    """Weights that are missing, damaged, gated or of a kind that cannot be tuned here."""

    code = MISSING


class BackendUnavailable(GemmalocalError):
    """The engine that a recipe asks for is not installed here."""

    code = MISSING


class EndpointError(GemmalocalError):
    """A server that was to be asked, and cannot be, or does not answer."""

    code = MISSING


class OutOfMemory(GemmalocalError):
    """The machine's memory did not hold the work."""

    code = KILLED


class WorkKilled(GemmalocalError):
    """Work that the system, its driver or a crash ended."""

    code = KILLED


class TrainingDiverged(GemmalocalError):
    """Losses or gradients that are not finite, or explode, again and again."""


class OutputLost(GemmalocalError):
    """What is printed cannot be written, as to a full disk."""


class OutputUnwanted(OutputLost):
    """Whoever read what is printed has had enough, as `head` has."""

    code = 0
