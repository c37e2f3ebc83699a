"""What of a folder belongs on the Hub, and how it reads there: nothing of this machine goes along."""

from __future__ import annotations

import json
import re
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
FOLDER_PLACEHOLDER = "PATH_OF_THIS_FOLDER"  # what a card says where its reader puts a name
FROM_FOLDER = re.compile(r"^(FROM )/.*/")  # of the base's file, which stays here
# Both licences want it told that files were modified; the notice itself goes with every copy.
MODIFIED = "This is a modified version: it was tuned with gemmalocal."


@dataclass(frozen=True)
class UploadFile:
    """One file: its name in the repository, and what is in it (a file here, or bytes where it reads differently)."""

    name: str
    content: Path | bytes

    @property
    def size(self) -> int:
        """Bytes of its content."""
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size


def model(folder: Path, name: str) -> list[UploadFile]:
    """The files of an export that go into the repository `name`; raises `ModelError` if one tells of this machine.

    What somebody else put into its folder stays here, but for papers: a card, a licence.
    """
    written = manifest.read(folder)
    files = [path for path in _files(folder, OF_MODELS) if written is None or path.name in written or _is_paper(path)]
    uploads = [UploadFile(path.name, _as_published(path, name)) for path in files]
    names = {upload.name for upload in uploads}
    if "NOTICE" not in names and (licence := _licence(_text(uploads, "README.md"))):
        uploads.append(UploadFile("NOTICE", f"{licence.notice}\n\n{MODIFIED}\n".encode()))
    return _checked(uploads)


def dataset(folder: Path) -> list[UploadFile]:
    """The files of a folder of rows with its card; raises `ModelError` as `model` does."""
    return _checked([UploadFile(path.name, path) for path in _files(folder, OF_DATASETS)])


def _files(folder: Path, patterns: tuple[str, ...]) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        fits = any(fnmatch(path.name, pattern) for pattern in patterns)
        if fits and path.name not in NEVER and not path.name.startswith(".") and path.is_file():
            yield path


def _is_paper(path: Path) -> bool:
    return any(fnmatch(path.name, pattern) for pattern in hub.PAPERS)


def _as_published(path: Path, name: str) -> Path | bytes:
    if path.name == "README.md":
        return path.read_text(encoding="utf-8").replace(FOLDER_PLACEHOLDER, name).encode()
    if path.name == "Modelfile":
        return FROM_FOLDER.sub(r"\1./", path.read_text(encoding="utf-8")).encode()
    if fnmatch(path.name, "*config.json"):
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        folder_keys = [key for key in BASES if str(config.get(key) or "").startswith(("/", "~"))]
        if folder_keys:
            config |= {key: Path(config[key]).name for key in folder_keys}
            return (json.dumps(config, indent=2, ensure_ascii=False) + "\n").encode()
    return path


def _checked(uploads: list[UploadFile]) -> list[UploadFile]:
    private_folders = {f"{folder}/" for folder in (Path.home(), paths.workspace()) if str(folder) != "/"}
    for upload in uploads:
        text = _text(uploads, upload.name) if any(fnmatch(upload.name, pattern) for pattern in TEXTS) else ""
        if named_folder := next((folder for folder in private_folders if folder in text), None):
            raise ModelError(
                f"{upload.name} names a folder of this machine, below {named_folder}",
                "Take it out of the file; names of that kind come from a recipe or from rows.",
            )
    return uploads


def _licence(card: str) -> Licence | None:
    return next((licence for licence in (GEMMA_TERMS, APACHE) if f"license: {licence.key}\n" in card), None)


def _text(uploads: list[UploadFile], name: str) -> str:
    content = next((upload.content for upload in uploads if upload.name == name), b"")
    return (content if isinstance(content, bytes) else content.read_bytes()).decode("utf-8", "replace")
