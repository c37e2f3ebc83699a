"""What of a folder belongs on the Hub, and how it reads there: nothing of this machine goes along."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from gemmalocal.errors import ModelError
from gemmalocal.files import manifest, paths
from gemmalocal.planning.published import APACHE, GEMMA_TERMS, Licence
from gemmalocal.weights import hub

OF_MODELS = (*hub.SETTINGS, *hub.PAPERS, *hub.WEIGHTS, "*.gguf", "Modelfile", "losses.svg")
OF_DATASETS = (*hub.PAPERS, "*.parquet", "*.jsonl", "*.json", "*.csv")
NEVER = ("job.json", "events.jsonl", "inbox.jsonl", "provenance.json")
BASES = ("base_model_name_or_path", "_name_or_path", "model")  # keys of a configuration that may hold a folder
TEXTS = ("*config.json", "proof.json", "README.md", "Modelfile", "*.svg", "*.jinja")  # read for folders of this machine
HERE = "PATH_OF_THIS_FOLDER"  # what a card says where its reader puts a name
# Both licences want it told that files were modified; the notice itself goes with every copy.
MODIFIED = "This is a modified version: it was tuned with gemmalocal."


@dataclass(frozen=True)
class Item:
    """One file: its name in the repository, and what is in it (a file here, or bytes where it reads differently)."""

    name: str
    content: Path | bytes

    @property
    def size(self) -> int:
        """Bytes of its content."""
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size


def model(folder: Path, name: str) -> list[Item]:
    """The files of an export that go into the repository `name`; raises `ModelError` if one tells of this machine.

    What somebody else put into its folder stays here, but for papers: a card, a licence.
    """
    written = manifest.read(folder)
    files = [path for path in _files(folder, OF_MODELS) if written is None or path.name in written or _is_paper(path)]
    items = [Item(path.name, _as_published(path, name)) for path in files]
    known = {item.name for item in items}
    if "NOTICE" not in known and (licence := _licence(_text(items, "README.md"))):
        items.append(Item("NOTICE", f"{licence.notice}\n\n{MODIFIED}\n".encode()))
    return _checked(items)


def dataset(folder: Path) -> list[Item]:
    """The files of a folder of rows with its card; raises `ModelError` as `model` does."""
    return _checked([Item(path.name, path) for path in _files(folder, OF_DATASETS)])


def _files(folder: Path, patterns: tuple[str, ...]) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        fits = any(fnmatch(path.name, pattern) for pattern in patterns)
        if fits and path.name not in NEVER and not path.name.startswith(".") and path.is_file():
            yield path


def _is_paper(path: Path) -> bool:
    return any(fnmatch(path.name, pattern) for pattern in hub.PAPERS)


def _as_published(path: Path, name: str) -> Path | bytes:
    if path.name == "README.md":
        return path.read_text(encoding="utf-8").replace(HERE, name).encode()
    if fnmatch(path.name, "*config.json"):
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        places = [key for key in BASES if str(config.get(key) or "").startswith(("/", "~"))]
        if places:
            config |= {key: Path(config[key]).name for key in places}
            return (json.dumps(config, indent=2, ensure_ascii=False) + "\n").encode()
    return path


def _checked(items: list[Item]) -> list[Item]:
    places = {f"{place}/" for place in (Path.home(), paths.workspace()) if str(place) != "/"}
    for item in items:
        text = _text(items, item.name) if any(fnmatch(item.name, pattern) for pattern in TEXTS) else ""
        if place_named := next((place for place in places if place in text), None):
            raise ModelError(
                f"{item.name} names a folder of this machine, below {place_named}",
                "Take it out of the file; names of that kind come from a recipe or from rows.",
            )
    return items


def _licence(card: str) -> Licence | None:
    return next((licence for licence in (GEMMA_TERMS, APACHE) if f"license: {licence.key}\n" in card), None)


def _text(items: list[Item], name: str) -> str:
    content = next((item.content for item in items if item.name == name), b"")
    return (content if isinstance(content, bytes) else content.read_bytes()).decode("utf-8", "replace")
