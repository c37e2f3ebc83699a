"""What llama.cpp makes of our GGUF files: the logits of every generation, tokens, chats that end."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from queue import SimpleQueue
from typing import Any
from urllib.parse import urlsplit

import mlx.core as mx
import numpy as np
import pytest
from mlx_lm.utils import load_model

from gemmalocal.data.tokenizer import TURNS, Tokenizer
from gemmalocal.errors import ModelError
from gemmalocal.export import gguf_write, merge
from gemmalocal.export.llama_asked import Answering, Inner
from gemmalocal.records import Message
from gemmalocal.serving.engine import Begun, EngineLimits, GenerationRequest, GenerationUpdate, Refused
from gemmalocal.weights.locate import DEMO
from tests.backends import test_generations as generations
from tests.children import HANGS
from tests.export.llama_server import LlamaServer
from tests.weights.test_demo import GOLDEN
from tests.weights.test_gguf import imported
from tests.with_torch import torch, transformers

NAMES = generations.NAMES
IDS = [2, *np.random.default_rng(4).integers(6, 300, 40).tolist()]  # longer than the sliding windows


def written(folder: Path, file: Path, form: str = "F16") -> Path:
    gguf_write.write(file, folder, gguf_write.plan(folder, merge.merged(folder, None), form), "x", lambda *what: None)
    return file


def saved(name: str, tiny: Path, folder: Path, **more: Any) -> Path:
    """A random model of a generation, in float16's numbers, with the tiny tokenizer, which has fewer tokens."""
    config = generations.configuration(name)
    for part in (config, getattr(config, "text_config", config)):
        for key, value in more.items():
            if hasattr(part, key):
                setattr(part, key, value)
    kind: Any = getattr(transformers, generations.WRAPPED[name]) if name in generations.WRAPPED else None
    torch.manual_seed(1)
    model = kind(config) if kind else transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            values = torch.randn_like(parameter) * (0.1 if parameter.ndim > 1 else 0.2)
            parameter.copy_((values + (parameter.ndim == 1 and name.startswith("gemma4"))).half())
    model.save_pretrained(folder)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(tiny / file, folder / file)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_llama_cpp_computes_what_transformers_does(name: str, tiny: Path, tmp_path: Path) -> None:
    folder = saved(name, tiny, tmp_path / name, query_pre_attn_scalar=16)
    found = LlamaServer(written(folder, tmp_path / "x.gguf")).next(IDS, 20)
    with torch.no_grad():
        logits = generations.theirs(folder)(torch.tensor([IDS])).logits[0, -1]
    wanted = torch.log_softmax(logits.double(), 0)
    assert max(found, key=lambda number: found[number]) == int(wanted.argmax())
    for number, value in found.items():
        assert value == pytest.approx(float(wanted[number]), abs=0.02)


@pytest.mark.parametrize("name", ["gemma4", "gemma4-vision", "gemma4-experts"])
def test_a_gemma_4_comes_back_as_it_went(name: str, tiny: Path, tmp_path: Path) -> None:
    """Of this form llama.cpp has the logits, above: of Gemma 4 as transformers reads it, sizes by layer are missing."""
    folder = saved(name, tiny, tmp_path / name)
    back = imported(written(folder, tmp_path / "x.gguf"), tmp_path / "back")
    found, wanted = (generations.theirs(one)(torch.tensor([IDS])).logits[0].detach() for one in (back, folder))
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-4)
    model, _ = load_model(back)
    assert np.abs(np.array(model(mx.array([IDS]))[0]) - wanted.numpy()).max() < 1e-3
    assert "Apache" in (back / "NOTICE").read_text(encoding="utf-8")
    assert Tokenizer(back).encode("the quote and us") == Tokenizer(folder).encode("the quote and us")


@pytest.mark.parametrize("every", [2, 3])
def test_where_the_full_layers_are_is_told(every: int, tiny: Path, tmp_path: Path) -> None:
    """llama.cpp takes every sixth one of Gemma 3 where a file does not say."""
    kinds = ["full_attention" if layer % every == every - 1 else "sliding_attention" for layer in range(6)]
    folder = saved("gemma3", tiny, tmp_path / "model", query_pre_attn_scalar=16, layer_types=kinds)
    found = LlamaServer(written(folder, tmp_path / "x.gguf")).next(IDS, 20)
    with torch.no_grad():
        logits = generations.theirs(folder)(torch.tensor([IDS])).logits[0, -1]
    wanted = torch.log_softmax(logits.double(), 0)
    assert all(value == pytest.approx(float(wanted[number]), abs=0.02) for number, value in found.items())


@pytest.mark.parametrize("name", ["gemma3", "gemma4-experts"])
def test_the_tokens_are_those_of_the_tokenizer(name: str, demo: tuple[Path, list[str]], tmp_path: Path) -> None:
    """SentencePiece's form of Gemma 1 to 3, and Gemma 4's own, with Gemma 3's whole vocabulary."""
    folder = saved(name, demo[0] / "models" / DEMO, tmp_path / "model", query_pre_attn_scalar=16, vocab_size=262_144)
    server = LlamaServer(written(folder, tmp_path / "x.gguf"))
    golden: dict[str, list[int]] = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert len(golden) >= 24
    assert {text: server.tokens(text, add_special=False) for text in golden} == golden
    assert server.tokens("hi") == server.tokens("hi", add_special=True)[1:]
    assert server.tokens("hi", add_special=True).count(2) == 1
    if name != "gemma3":  # of which tests/weights/test_demo.py imports a whole file
        tokenizer = Tokenizer(imported(tmp_path / "x.gguf", tmp_path / "back"))
        assert {text: tokenizer.encode(text) for text in golden} == golden


SPOKEN = {"gemma3": ("<start_of_turn>", "<end_of_turn>"), "gemma4": ("<|turn>", "<turn|>")}


@pytest.mark.parametrize("name", SPOKEN)
def test_a_chat_has_one_beginning_and_ends(name: str, tiny: Path, tmp_path: Path) -> None:
    folder = saved(name, tiny, tmp_path / "model", query_pre_attn_scalar=16)
    start, end = SPOKEN[name]
    for file in ("tokenizer.json", "tokenizer_config.json"):
        text = (folder / file).read_text(encoding="utf-8").replace("<start_of_turn>", start)
        (folder / file).write_text(text.replace("<end_of_turn>", end), encoding="utf-8")
    template = TURNS.replace("<start_of_turn>", start).replace("<end_of_turn>", end)
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    server = LlamaServer(written(folder, tmp_path / "x.gguf", "Q8_0"))
    tokenizer = Tokenizer(folder)
    prompt = tokenizer.encode(tokenizer.render([Message("user", "the quote")], ask=True))
    messages = [{"role": "user", "content": "the quote"}]
    assert prompt.count(tokenizer.bos_id) == 1
    for bias, finish in ((100, "stop"), (-100, "length")):
        said = server.ask(
            "/v1/chat/completions", messages=messages, max_tokens=3, temperature=0, logit_bias=[[5, bias], [1, -100]]
        )
        assert said["choices"][0]["finish_reason"] == finish
        assert said["usage"]["prompt_tokens"] == len(prompt)
        assert end not in said["choices"][0]["message"]["content"]


def test_who_goes_while_a_request_connects_gets_no_answer(tiny: Path, tmp_path: Path) -> None:
    """There is no connection yet that could be ended: llama.cpp would compute a whole context for nobody."""
    ends: SimpleQueue[Callable[[], None]] = SimpleQueue()

    class Leaving(Inner):
        """Whose client goes as soon as it has connected."""

        leaves = False

        def connect(self) -> HTTPConnection:
            connection = super().connect()
            if self.leaves:
                ends.get(timeout=HANGS)()
            return connection

    folder = saved("gemma3", tiny, tmp_path / "model", query_pre_attn_scalar=16)
    server = LlamaServer(written(folder, tmp_path / "x.gguf"))
    inner = Leaving("127.0.0.1", int(urlsplit(server.address).port or 0))
    inner.leaves = True
    told: SimpleQueue[GenerationUpdate] = SimpleQueue()
    ends.put(Answering(inner, EngineLimits(300, 256), GenerationRequest(IDS, max_tokens=100), told.put).begin())
    assert told.get(timeout=HANGS) == Begun(len(IDS))
    assert isinstance(told.get(timeout=HANGS), Refused)


def test_tokens_beyond_the_embedding_are_left_out(tiny: Path, tmp_path: Path) -> None:
    """As the token of an image is, of which the text models of Gemma 3 have no row."""
    folder = saved("gemma3", tiny, tmp_path / "model", query_pre_attn_scalar=16, vocab_size=300)
    tokenizer = Tokenizer(folder)
    assert tokenizer.encode("user")[-1] > 300
    found = LlamaServer(written(folder, tmp_path / "x.gguf", "Q8_0")).tokens("user", add_special=False)
    assert max(found) < 300
    assert tokenizer.decode(found) == "user"


def test_a_scale_that_llama_cpp_cannot_be_told_is_refused(tiny: Path, tmp_path: Path) -> None:
    folder = saved("gemma2", tiny, tmp_path / "model")
    with pytest.raises(ModelError, match="scaled for a width of 24, and llama.cpp would take 16"):
        written(folder, tmp_path / "x.gguf")
