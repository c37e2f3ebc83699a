"""A vocabulary, as GGUF stores it, to the tokenizer.json that Gemma models ship.

Gemma's tokenizer is byte-pair encoding with byte fallback. Files of Gemma 4 hold its merges. Those of Gemma 1 to 3
hold SentencePiece's scores: minus the rank of the merge that makes a piece, so that the merges can be rebuilt from the
pieces alone (as transformers' SentencePiece converter does).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE

CONTROL, USER_DEFINED = 3, 4  # llama.cpp's token types; 1 is a normal piece, 6 a byte
# Of Gemma 4, what llama.cpp's chat parser must see in the text.
SHOWN = {"<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>", "<|tool_response>", "<tool_response|>", '<|"|>'}
SPECIAL = {"<start_of_turn>", "<end_of_turn>", *SHOWN}  # user-defined in the file, special as published


def merges(pieces: Sequence[str], scores: Sequence[float], skip: set[str]) -> list[tuple[str, str]]:
    """Every way to make a piece from two others, the best-scored piece first; `scores` are minus the merges' ranks."""
    mergeable = set(pieces) - skip
    ranked: list[tuple[float, int, int, str, str]] = []
    for piece, score in zip(pieces, scores, strict=True):
        if piece not in mergeable:
            continue
        for cut in range(1, len(piece)):
            left, right = piece[:cut], piece[cut:]
            if left in mergeable and right in mergeable:
                ranked.append((-score, len(left), len(right), left, right))
    # Merges of the same piece go by the lengths of their halves, the shorter first half before.
    ranked.sort(key=lambda merge: merge[:3])
    return [(left, right) for *_, left, right in ranked]


def listed_merges(lines: Sequence[str], pieces: Sequence[str]) -> list[tuple[str, str]]:
    """The merges that a file lists: two pieces with a space between them, of which the first may begin with one.

    Left out are those of pieces that it does not have: it may spell added tokens, such as runs of spaces, otherwise.
    """
    piece_set = set(pieces)
    cuts = ((line, line.find(" ", 1)) for line in lines)
    halves = ((line[:cut], line[cut + 1 :]) for line, cut in cuts if cut > 0)
    return [(left, right) for left, right in halves if piece_set >= {left, right, left + right}]


def added_pieces(pieces: Sequence[str], kinds: Sequence[int]) -> set[str]:
    """The pieces that are found in a text as they are, before any merge."""
    return {piece for piece, kind in zip(pieces, kinds, strict=True) if kind in (CONTROL, USER_DEFINED)}


def build(
    pieces: Sequence[str], kinds: Sequence[int], merge_list: list[tuple[str, str]], bos: str, unknown: str
) -> Tokenizer:
    """Make a Gemma tokenizer, with `merge_list`, that puts one `bos` in front when asked for special tokens."""
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    model = BPE(
        vocab=vocabulary,
        merges=merge_list,
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
            AddedToken(piece, special=kind == CONTROL or piece in SPECIAL, normalized=False)
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
