"""A Gemma's tokenizer.json as the vocabulary that llama.cpp knows: SentencePiece's for Gemma 1 to 3, else its own."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import gguf
from gguf import TokenType

from gemmalocal.data.chat_template import of_model
from gemmalocal.data.tokenizer import TURN_ENDS
from gemmalocal.errors import ModelError
from gemmalocal.tool_calls.grammars import FUNCTION_GEMMA
from gemmalocal.weights.vocabulary import SHOWN

BYTE = re.compile(r"<0x[0-9A-F]{2}>")
CALLED = {*FUNCTION_GEMMA.marks, FUNCTION_GEMMA.answer_start}  # who reads calls must see them, special or not
MARKED = -1000.0  # the score of tokens that are never made by merging; as Google's own files have it


class VocabularyPieces(NamedTuple):
    """By token id: text, score (minus the rank of the merge that makes it), and llama.cpp's type of token."""

    texts: list[str]
    scores: list[float]
    kinds: list[int]


def pieces(base: Path, count: int) -> VocabularyPieces:
    """The vocabulary of a model's folder, of `count` pieces: as many as its embedding has rows.

    Rows to spare become unused tokens; tokens beyond (of images) are left out. Raises `ModelError` for a tokenizer that
    is not Gemma's byte-pair encoding.
    """
    tokenizer = _read(base)
    model = tokenizer["model"]
    if model["type"] != "BPE" or not model.get("byte_fallback"):
        raise ModelError("The model's tokenizer is not Gemma's, and cannot be written as GGUF.", "Export it as merged.")
    ids: dict[str, int] = {text: number for text, number in model["vocab"].items() if number < count}
    ranks: dict[str, int] = {}
    for rank, merge in enumerate(_merges(model)):
        ranks.setdefault("".join(merge), rank)
    vocabulary = VocabularyPieces(
        [f"[PAD{number}]" for number in range(count)], [MARKED] * count, [int(TokenType.UNUSED)] * count
    )
    for text, number in ids.items():
        byte = BYTE.fullmatch(text)
        vocabulary.texts[number] = text
        vocabulary.scores[number] = 0.0 if byte else -float(ranks.get(text, len(ranks) + number))
        vocabulary.kinds[number] = int(TokenType.BYTE if byte else TokenType.NORMAL)
    for token in tokenizer["added_tokens"]:
        if (number := token["id"]) < count:
            hidden = token["special"] and token["content"] not in SHOWN | CALLED
            vocabulary.texts[number] = token["content"].replace("▁", " ")
            vocabulary.scores[number] = MARKED
            vocabulary.kinds[number] = int(TokenType.CONTROL if hidden else TokenType.USER_DEFINED)
    return vocabulary


def _read(base: Path) -> dict[str, Any]:
    tokenizer: dict[str, Any] = json.loads((base / "tokenizer.json").read_text(encoding="utf-8"))
    return tokenizer


def _merges(model: dict[str, Any]) -> list[list[str]]:
    return [merge if isinstance(merge, list) else merge.split(" ") for merge in model["merges"]]


def describe(writer: gguf.GGUFWriter, base: Path, architecture: str, count: int, template: str | None = None) -> None:
    """Add to a GGUF the vocabulary of `count` tokens, the special ones (exactly one <bos> in front), a chat `template`.

    Without one it is the model's own, if it has one. Raises `ModelError` as `pieces` does.
    """
    vocabulary = pieces(base, count)
    if architecture == "gemma4":
        writer.add_tokenizer_model("gemma4")
        writer.add_token_merges([" ".join(merge) for merge in _merges(_read(base)["model"])])
    else:
        writer.add_tokenizer_model("llama")
        writer.add_tokenizer_pre("default")
    writer.add_token_list(vocabulary.texts)
    writer.add_token_scores(vocabulary.scores)
    writer.add_token_types(vocabulary.kinds)
    ids = {text: number for number, text in enumerate(vocabulary.texts)}
    writer.add_bos_token_id(ids["<bos>"])
    writer.add_eos_token_id(ids["<eos>"])
    writer.add_unk_token_id(ids["<unk>"])
    writer.add_pad_token_id(ids["<pad>"])
    own_template = of_model(base)
    template = template or (own_template.source if own_template else None)
    if template and (ends := [ids[text] for text in TURN_ENDS if text in ids]):
        writer.add_eot_token_id(ends[0])
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(False)
    if template:
        writer.add_chat_template(template)
