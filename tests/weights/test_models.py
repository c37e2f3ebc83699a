"""gemmalocal models and import: what other programs have put on this disk is found, shown, and made trainable."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from gguf import GGMLQuantizationType as Kind

from gemmalocal.weights import inventory
from gemmalocal.weights.locate import locate
from tests.here import run
from tests.weights import ggufs


@pytest.fixture
def home(tmp_path: Path, tiny: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home in which LM Studio, Ollama, the workspace and a folder of the user's each hold a model, and some noise."""
    home = tmp_path / "person"
    studio, ollama = home / ".lmstudio" / "models" / "community" / "tiny-GGUF", home / ".ollama" / "models"
    shutil.copytree(tiny, home / "mine" / "tuned")
    shutil.copytree(tiny, workspace / "models" / "imported")
    shutil.copytree(tiny, workspace / "models" / ".half.123.tmp")
    (home / "mine" / "llama").mkdir()
    (home / "mine" / "llama" / "config.json").write_text('{"model_type": "llama"}')
    (home / "mine" / "broken").mkdir()
    (home / "mine" / "broken" / "config.json").write_text("[1")
    studio.mkdir(parents=True)
    ggufs.write(studio / "tiny-Q8_0.gguf", "gemma3", Kind.Q8_0)
    (studio / "mmproj.gguf").write_bytes(b"GGUF" + bytes(40))
    (ollama / "blobs").mkdir(parents=True)
    ggufs.write(ollama / "blobs" / "sha256-abc", "gemma2", Kind.Q4_0)
    (ollama / "blobs" / "sha256-def").write_bytes(b"a template")
    library = ollama / "manifests" / "registry.ollama.ai" / "library"
    manifest(library / "gemma2" / "2b", "sha256:abc")
    manifest(library / "gemma2" / "gone", "sha256:fff")
    (library / "gemma2" / "torn").write_text('{"layers": ')
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("HF_HOME", str(home / "hf"))
    monkeypatch.setenv("GEMMALOCAL_MODELS", str(home / "mine"))
    monkeypatch.delenv("OLLAMA_MODELS", raising=False)
    return home


def manifest(path: Path, digest: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    layers = [
        {"mediaType": "application/vnd.ollama.image.model", "digest": digest},
        {"mediaType": "application/vnd.ollama.image.template", "digest": "sha256:def"},
    ]
    path.write_text(json.dumps({"layers": layers}))


def test_each_place_is_found_and_nothing_else(home: Path) -> None:
    found = {(one.keeper, one.name) for one in inventory.on_this_disk()}
    assert found == {
        ("workspace", "imported"),
        ("folder", str(home / "mine" / "tuned")),
        ("LM Studio", str(home / ".lmstudio/models/community/tiny-GGUF/tiny-Q8_0.gguf")),
        ("Ollama", "gemma2:2b"),
        ("Ollama", "gemma2:torn"),
    }
    assert {one.name for one in inventory.on_this_disk() if one.size <= 10_000} == {"gemma2:torn"}  # shown as damaged


def test_only_main_of_the_hubs_cache_goes_by_its_name(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--some-one--tiny--it"
    for commit in ("a" * 40, "b" * 40):
        shutil.copytree(tiny, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("b" * 40)
    names = {one.name for one in inventory.hub_cache()}
    assert names == {"some-one/tiny--it", str(repository / "snapshots" / ("a" * 40))}


def test_the_list_is_readable_at_80_and_120_columns(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = {}
    for columns in (80, 120):
        monkeypatch.setenv("COLUMNS", str(columns))
        done = run("models", "--folder", str(home / "mine" / "tuned"))
        assert done.returncode == 0, done.stderr
        shown[columns] = done.stdout.splitlines()
        assert all(len(line) <= columns for line in shown[columns]), columns
    assert any("…" in line for line in shown[80])
    for lines in shown.values():
        text = "\n".join(lines)
        assert "\nworkspace\nimported " in text
        assert "\nOllama\ngemma2:2b " in text
        assert "google/gemma-3-1b-it " in text
        row = next(line for line in lines if line.startswith("google/gemma-2-27b "))
        assert row.endswith("Gemma, gated")
        assert "~" not in row
        assert next(line for line in lines if line.startswith("mlx-community/gemma-4-31b-it-4bit")).endswith(
            "Apache-2.0"
        )
    assert any("~/.lmstudio/models" in line and "import" in line for line in shown[120])


def test_the_list_as_json_and_as_a_person_can_use_it(home: Path) -> None:
    listed = [json.loads(line) for line in run("models", "--json").stdout.splitlines()]
    by_name: dict[str, dict[str, Any]] = {entry["name"]: entry for entry in listed}
    assert by_name["imported"]["train"] == "yes"
    assert by_name["gemma2:2b"]["train"] == "import"
    assert by_name["google/gemma-4-31B-it"]["gated"] is False
    assert by_name["google/gemma-2b"]["gated"] is True
    assert len(by_name) == len(listed)
    assert locate("imported", lambda *what: None) == Path(by_name["imported"]["path"])


def test_an_imported_file_trains_by_its_name(home: Path, recipe_path: Path, workspace: Path) -> None:
    done = run("import", str(home / ".ollama" / "models" / "blobs" / "sha256-abc"))
    assert done.returncode == 0, done.stderr
    folder = workspace / "models" / "gemma2-2b"
    assert done.stdout.splitlines()[0] == str(folder)
    assert "model: gemma2-2b" in done.stdout
    provenance = json.loads((folder / "provenance.json").read_text())
    assert len(provenance["sha256"]) == 64
    assert "Gemma Terms" in provenance["licence"]
    trained = run("train", str(recipe_path), "--set", "model=gemma2-2b", "--set", "train.steps=2", "--name", "it")
    assert trained.returncode == 0, trained.stderr
    assert (workspace / "runs" / "it" / "adapter" / "adapter_model.safetensors").is_file()
    again = run("import", "gemma2:2b")  # the same, by Ollama's name
    assert again.returncode == 2
    assert "already" in again.stderr


def test_a_folder_with_one_model_can_be_imported(home: Path, workspace: Path) -> None:
    folder = home / ".lmstudio" / "models" / "community" / "tiny-GGUF"
    (folder / "mmproj.gguf").rename(folder / "mmproj-model.gguf")
    done = run("import", str(folder), "--name", "tiny", "--json")
    assert done.returncode == 0, done.stderr
    assert Path(json.loads(done.stdout)["path"]) == workspace / "models" / "tiny"


def test_what_an_import_leaves_out_is_told(workspace: Path, tmp_path: Path) -> None:
    ggufs.write(tmp_path / "seeing.gguf", "gemma3", Kind.Q8_0, towers=True)
    done = run("import", str(tmp_path / "seeing.gguf"))
    assert done.returncode == 0, done.stderr
    assert "left out, since the text model alone is tuned: projector, vision tower" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["import", "/no/such.gguf"], 3, "no file /no/such.gguf"),
        (["import", "HOME/mine"], 3, "holds 0 GGUF models"),
        (["import", "HOME/mine/llama/config.json"], 3, "cannot be read as GGUF"),
        (["import", "HOME/.ollama/models/blobs/sha256-abc", "--name", "../evil"], 2, "cannot be a model's name"),
        (["models", "--folder", "/no/such"], 2, "does not exist"),
    ],
)
def test_refusals(home: Path, workspace: Path, words: list[str], code: int, says: str) -> None:
    done = run(*(word.replace("HOME", str(home)) for word in words))
    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert "imported" in {path.name for path in (workspace / "models").iterdir()} <= {"imported", ".half.123.tmp"}
