"""The system's errors as ours: a sentence, a remedy, an exit code. Asked at the borders: command line, worker, app."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from gemmalocal.errors import GemmalocalError, OutOfMemory, RecipeError

MOVE = "Or move the workspace: GEMMALOCAL_HOME names its folder."
FULL = f"Make room, and start it again. {MOVE}"
NO_HOME = "There is no such home folder (~).", "Name a whole path. GEMMALOCAL_HOME names the workspace's folder."
HOMELESS = "home directory"  # what Python and platformdirs say, each in its own way
UNNAMED = "a file"  # where the system does not say which
LEAST = 64 * 1024  # free bytes below which a disk is as good as full

# What the system says: whose words libraries written in other languages pass on, what that means, and what to do.
MEANINGS: dict[int, tuple[str, str]] = {
    errno.ENOSPC: ("The disk is full: {} cannot be written.", FULL),
    errno.EDQUOT: ("Your share of the disk is used up: {} cannot be written.", FULL),
    errno.EROFS: ("{} is on a disk that is read-only.", f"Name a place that can be written. {MOVE}"),
    errno.EACCES: ("{}: permission denied.", f"Ask its owner for permission, or name another place. {MOVE}"),
    errno.EPERM: ("{} may not be changed, the system says.", f"Name another place. {MOVE}"),
    errno.ENOENT: ("{} is not there (any more).", "It may have been moved or deleted. Look for it, and try again."),
    errno.ENOTDIR: ("{} is not a folder, or a part of its path is a file.", "Name another place."),
    errno.ENXIO: ("{} is not a file, but a folder, a pipe or a device.", "Name a file, or remove it."),
    errno.EISDIR: ("{} is a folder, not a file.", "Name a file."),
    errno.EEXIST: ("{} is there already.", "Name another, or remove it."),
    errno.ENOTEMPTY: ("{} is not empty.", "Another program may be writing there. Try again."),
    errno.ENAMETOOLONG: ("The name {} is too long.", "Choose a shorter one."),
    errno.ELOOP: ("{} is a link that leads to itself.", "Remove the link."),
    errno.EIO: ("The disk failed at {}.", "Look at the disk, and at the system's log."),
    errno.ESTALE: ("{} is on a disk that is no longer connected.", "Connect it again."),
    errno.ENODEV: ("{} is on a disk that is no longer connected.", "Connect it again."),
    errno.EMFILE: ("Too many files are open at once.", "Raise the limit: ulimit -n 4096"),
    errno.ENFILE: ("The system has too many files open at once.", "Close other programs."),
    errno.EFBIG: ("{} would be larger than a file may be.", "Raise the limit (ulimit -f), or take another disk."),
    errno.EAGAIN: ("The system has no room for another process.", "Close other programs (ulimit -u is the limit)."),
    errno.ENOMEM: ("The system is out of memory.", "Close other programs."),
    errno.EINVAL: ("The system does not accept {}.", "Choose another name or place."),
}
USAGE = (errno.ENAMETOOLONG, errno.EINVAL, errno.EISDIR, errno.ENOTDIR)
PASSED_ON = {os.strerror(number): number for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)}
PASSED_ON |= {"bytes to file": errno.ENOSPC, "disk is full": errno.ENOSPC}  # MLX's words, and SQLite's


def explained(error: BaseException) -> GemmalocalError | None:
    """What an error of the system means, or one that another has passed on; None if it is none of the system's."""
    if isinstance(error, GemmalocalError):
        return error
    for cause in _chain(error):
        if isinstance(cause, RuntimeError) and HOMELESS in str(cause):
            return GemmalocalError(*NO_HOME)
        if isinstance(cause, OSError) and cause.errno in MEANINGS:
            return _of(cause.errno, _place(cause))
        if isinstance(cause, MemoryError):
            return OutOfMemory("The work did not fit into memory.", "Close other programs, and start it again.")
        if meaning := passed_on(str(cause)):
            return meaning
    return GemmalocalError(f"The system says: {error}.", "") if isinstance(error, OSError) else None


def passed_on(words: str) -> GemmalocalError | None:
    """What a system's error means that a library tells in its own words."""
    number = next((number for sign, number in PASSED_ON.items() if sign in words), None)
    return None if number is None else _of(number, UNNAMED)


def lack_of_room(folder: Path) -> GemmalocalError | None:
    """That the disk of a folder is full, if it is."""
    try:
        about = os.statvfs(folder)
    except OSError:
        return None
    full = about.f_blocks and about.f_bavail * about.f_frsize < LEAST
    return _of(errno.ENOSPC, str(folder)) if full else None


def _of(number: int, place: str) -> GemmalocalError:
    sentence, remedy = MEANINGS[number]
    if number == errno.ENOENT and _homeless():
        place = "The folder in which this was started"
    if place == UNNAMED and "{}" in sentence.partition(":")[2]:
        sentence, place = f"{sentence.partition(':')[0]}.", ""
    sentence = sentence.format(place)
    kind = RecipeError if number in USAGE else GemmalocalError
    return kind(sentence[0].upper() + sentence[1:] if sentence.startswith(UNNAMED) else sentence, remedy)


def _place(error: OSError) -> str:
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    return names[-1] if names else UNNAMED


def _homeless() -> bool:
    """Whether the folder that we stand in is gone."""
    try:
        os.getcwd()
    except OSError:
        return True
    return False


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and those that it came from."""
    for _ in range(8):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__
