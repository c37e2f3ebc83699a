"""The demo's weights: Google's Gemma 3 270M from its package, and its tokenizer to the letter."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.errors import ModelError
from gemmalocal.weights.locate import DEMO, locate

GOLDEN = Path(__file__).parent / "gemma3_ids.json"  # what transformers' own reading of the same file gives


def test_the_demo_is_made_once_and_tokenizes_like_transformers(
    demo: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, before = demo
    monkeypatch.setenv("GEMMALOCAL_HOME", str(home))
    folder = home / "models" / DEMO
    assert "dequantizing" in before
    assert not list(folder.parent.glob(".*"))
    tokenizer = Tokenizer(folder)
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert len(golden) >= 20
    for text, ids in golden.items():
        assert tokenizer.encode(text) == ids, text
    assert "Gemma Terms" in json.loads((folder / "provenance.json").read_text())["licence"]
    told: list[str] = []
    assert locate(DEMO, lambda what, done, total: told.append(what)) == folder
    assert told == []


def test_what_is_no_model_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model"):
        locate("nonsense", lambda *what: None)
    with pytest.raises(ModelError, match=r"no tokenizer\.json"):
        Tokenizer(tmp_path)


def test_a_model_in_the_hubs_cache_needs_no_network(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--someone--tiny"
    snapshot = repository / "snapshots" / ("a" * 40)
    shutil.copytree(tiny, snapshot)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("a" * 40)
    assert locate("someone/tiny", lambda *what: None).resolve() == snapshot.resolve()
    (snapshot / "model.safetensors").unlink()
    assert locate("someone/tiny", lambda *what: None, weights=False).resolve() == snapshot.resolve()
