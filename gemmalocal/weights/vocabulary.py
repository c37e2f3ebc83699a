"""A SentencePiece vocabulary, as GGUF stores it, to the tokenizer.json that Gemma models ship.

Gemma's tokenizer is byte-pair encoding with byte fallback: a piece's score is minus its merge rank, so the merge
list that `tokenizers` wants can be rebuilt from the pieces alone (as transformers' SentencePiece converter does).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE

CONTROL, USER_DEFINED = 3, 4  # llama.cpp's token types; 1 is a normal piece, 6 a byte
TURN_MARKS = {"<start_of_turn>", "<end_of_turn>"}  # user-defined in the file, special in every published tokenizer


def merges(pieces: Sequence[str], scores: Sequence[float], skip: set[str]) -> list[tuple[str, str]]:
    """Every way to make a piece from two others, the best-scored piece first."""
    known = set(pieces) - skip
    found: list[tuple[float, int, int, str, str]] = []
    for piece, score in zip(pieces, scores, strict=True):
        if piece not in known:
            continue
        for cut in range(1, len(piece)):
            left, right = piece[:cut], piece[cut:]
            if left in known and right in known:
                found.append((-score, len(left), len(right), left, right))
    found.sort(key=lambda merge: merge[:3])
    return [(left, right) for *_, left, right in found]


def build(pieces: Sequence[str], scores: Sequence[float], kinds: Sequence[int], bos: str, unknown: str) -> Tokenizer:
    """Make a Gemma tokenizer that puts one `bos` in front when asked for special tokens."""
    added = {piece for piece, kind in zip(pieces, kinds, strict=True) if kind in (CONTROL, USER_DEFINED)}
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    model = BPE(
        vocab=vocabulary,
        merges=merges(pieces, scores, added),
        unk_token=unknown,
        fuse_unk=True,
        byte_fallback=True,
    )
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, vocabulary[bos])]
    )
    tokenizer.add_tokens(
        [
            AddedToken(piece, special=kind == CONTROL or piece in TURN_MARKS, normalized=False)
            for piece, kind in zip(pieces, kinds, strict=True)
            if kind in (CONTROL, USER_DEFINED)
        ]
    )
    return tokenizer


def write(tokenizer: Tokenizer, folder: Path, names: dict[str, str], chat_template: str | None) -> None:
    """Write tokenizer.json and tokenizer_config.json; `names` maps roles such as bos_token to pieces."""
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    config: dict[str, Any] = {
        **names,
        "tokenizer_class": "GemmaTokenizer",
        "add_bos_token": True,
        "add_eos_token": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": 10**30,
    }
    if chat_template:
        config["chat_template"] = chat_template
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False), encoding="utf-8")
