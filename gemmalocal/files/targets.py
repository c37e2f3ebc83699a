"""Where a command may write what a person asked for: one rule for all of them.

A target is a new folder or an empty one; an export may also replace an older export that nobody changed. It holds
neither the workspace nor where one stands, and lies in no run, dataset, chat or export of ours; only exports lie in
the exports/ of a run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

from gemmalocal.errors import RecipeError
from gemmalocal.files import manifest, paths

Check = Callable[[Path], None]

EXPORTS, JOB, PROOF = "exports", "job.json", "proof.json"
LONGEST = 200  # bytes of a name: what lies beside it while it is written has a longer one
NEW = "Name a new folder, or an empty one."
# What exports hold that were made before there was a manifest.
OLDER = (
    PROOF, "README.md", "LICENSE*", "NOTICE*", "Modelfile", "losses.svg", "*.safetensors", "*.gguf", "*.json",
    "*.jinja", "tokenizer.model", ".gitattributes",
)  # fmt: skip
WEIGHTS = (".safetensors", ".gguf")  # nobody edits them: damaged ones may be replaced


def resolved(target: str | Path) -> Path:
    """The folder that is meant, free of links, `..` and `~`; raises `RecipeError` for what can be none."""
    text = str(target)
    if not text.strip() or "\0" in text:
        raise RecipeError(f"'{text}' is not a folder's name.", NEW)
    try:
        path = paths.expanded(text).resolve()
    except (OSError, RuntimeError) as error:  # links in a circle; a home that is not there
        raise RecipeError(f"{text} leads nowhere: {error}", NEW) from error
    if long := next((part for part in path.parts if len(os.fsencode(part)) > LONGEST), None):
        raise RecipeError(f"'{long[:40]}...' is too long for a folder's name.", f"Use at most {LONGEST} bytes.")
    return path


def checked_target(target: str | Path, check: Check, own: Path | None = None) -> Path:
    """The folder that is meant, if it may be written and what is there passes `check`; raises `RecipeError`.

    `own` is the folder of the job that writes, in which it may.
    """
    path = resolved(target)
    if own is None or not _inside(path, own):
        check_place(path)
        if _inside(_here(), path):
            problem = f"{path} is the folder that you are in, or one above it."
            raise RecipeError(problem, "Name a folder in it, or another one.")
    check(path)
    return path


def checked_file(target: str | Path) -> Path:
    """Where a single file may be written, over another one or not; raises `RecipeError`."""
    path = resolved(target)
    if path.is_dir():
        raise RecipeError(f"{path} is a folder.", "Name a file.")
    check_place(path)
    return path


def check_place(path: Path) -> None:
    """Raise `RecipeError` if nothing at all may be written at `path`, whatever is there."""
    for holding, folder in (("the workspace", paths.workspace()), ("your home", Path(os.path.expanduser("~")))):
        if _inside(folder, path):
            raise RecipeError(f"{path} holds {holding}.", NEW)
    for above in path.parents:
        if above.exists() and not above.is_dir():
            raise RecipeError(f"{above} is a file.", NEW)
        if _is_job(above) and not _is_exports(path, above):
            raise RecipeError(f"{path} lies in {above.name}, a folder that gemmalocal works in.", NEW)
        if (above / manifest.MANIFEST).is_file():
            raise RecipeError(f"{path} lies in {above}, which gemmalocal wrote as a whole.", "Name a folder elsewhere.")
    for kept in (paths.runs(), paths.chats(), paths.errands(), paths.trash(), paths.datasets(), paths.models()):
        depth = _depth(path, kept)
        free = kept in (paths.datasets(), paths.models()) and depth == 1
        if depth is not None and not free and not _in_exports_of_a_run(path):
            where = f"lies in {kept}, a folder" if depth else "is a folder"
            raise RecipeError(f"{path} {where} that gemmalocal works in.", "Name a folder elsewhere.")


def empty(path: Path) -> None:
    """A check: raise `RecipeError` if there is anything at `path` but an empty folder."""
    if names := _content(path):
        raise RecipeError(f"{path} is there already, and holds {_some(sorted(names))}.", NEW)


def replaceable(path: Path) -> None:
    """A check: raise `RecipeError` if there is anything at `path` but an empty folder, or an older export of ours."""
    names = _content(path)
    if not names:
        return
    entries = manifest.read(path)
    if entries is None:
        _check_older(path, names)
    else:
        _check_known(path, entries, names)


def _content(path: Path) -> set[str]:
    """What is in a folder, which need not be there, but for a manifest of ours."""
    if not os.path.lexists(path):
        return set()
    if not path.is_dir() or path.is_symlink():
        raise RecipeError(f"{path} is there already, and is not a folder.", NEW)
    names = manifest.names(path) | {f"{child.name}/" for child in path.iterdir() if child.is_dir()}  # of exports: none
    return names


def _check_known(path: Path, entries: manifest.Manifest, names: set[str]) -> None:
    """Nothing foreign in it, and nothing that somebody changed."""
    if foreign := sorted(names - entries.keys()):
        raise RecipeError(f"{path} holds other files: {_some(foreign)}.", NEW)
    changed = [name for name in sorted(names) if not name.endswith(WEIGHTS) and _is_changed(path / name, entries, name)]
    if changed:
        raise RecipeError(
            f"{_some(changed)} in {path} was changed since it was written.", f"{NEW} To replace it, remove it first."
        )


def _is_changed(file: Path, entries: manifest.Manifest, name: str) -> bool:
    entry = entries[name]
    return file.is_symlink() or file.stat().st_size != entry.bytes or manifest.sha256(file) != entry.sha256


def _check_older(path: Path, names: set[str]) -> None:
    """A folder without a manifest: an export of an older version by its proof, or by its place in a run's exports/."""
    ours = _is_proof(path / PROOF) or _in_exports_of_a_run(path)
    foreign = sorted(name for name in names if not any(fnmatch(name, pattern) for pattern in OLDER) or os.sep in name)
    if foreign or not ours:
        raise RecipeError(f"{path} holds other files: {_some(foreign or sorted(names))}.", NEW)


def _is_proof(file: Path) -> bool:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and {"form", "passed", "tuned", "exported"} <= content.keys()


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _in_exports_of_a_run(path: Path) -> bool:
    run = path.parent.parent
    return _is_exports(path, run) and _is_job(run)


def _is_job(folder: Path) -> bool:
    """Whether a folder is a run, a dataset or a chat of ours: other programs have files of that name too."""
    try:
        content = json.loads((folder / JOB).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and {"kind", "spec"} <= content.keys()


def _here() -> Path:
    try:
        return Path.cwd()
    except OSError:  # it was removed
        return Path("/")


def _is_exports(path: Path, run: Path) -> bool:
    return _same(path.parent, run / EXPORTS) and not path.name.startswith(".")


def _inside(path: Path, folder: Path) -> bool:
    """Whether `path` is `folder`, or lies in it, however either is spelled."""
    return _depth(path, folder) is not None


def _depth(path: Path, folder: Path) -> int | None:
    """How many steps `path` lies below `folder`; None if it does not."""
    return next((depth for depth, above in enumerate((path, *path.parents)) if _same(above, folder)), None)


def _same(first: Path, second: Path) -> bool:
    """Whether two paths are one place: a disk may not tell upper from lower case."""
    if first == second:
        return True
    try:
        return os.path.samefile(first, second)
    except (OSError, ValueError):
        return False
