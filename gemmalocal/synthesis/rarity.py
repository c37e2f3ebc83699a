"""How much a word tells in general, by a model's vocabulary: its pieces stand in the order of how frequent they are.

Byte-pair encoding merges the most frequent pair first (https://arxiv.org/abs/1508.07909), so a word that is an early
piece is a common one, in any language, and a word that is no piece is rarer than all that are. With Zipf's law the
logarithm of its place is what it tells, in bits.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import lru_cache

from tokenizers import Tokenizer as Encoder

from gemmalocal.synthesis.terms import RUNS

Rarity = Callable[[str], float]  # of one of `terms.tokens`, in bits, 0 for a common word

COMMON = 10.0  # bits of the words that every text has: the first thousand pieces
LARGE = 1 << 16  # pieces of a vocabulary whose order tells something; Gemma's have four times as many
COMPOUND = re.compile("[-'’]+")  # between the words of one that is written as one: "higher-level"


def by_vocabulary(encoder: Encoder) -> Rarity | None:
    """What the words of a vocabulary tell; None of one that is too small to say."""
    size = encoder.get_vocab_size()
    if size < LARGE:
        return None

    def of_piece(number: int) -> float:
        return max(0.0, math.log2(number + 1) - COMMON)

    def of_word(word: str) -> float:
        forms = {word, word.capitalize(), word.upper()}
        pieces = [encoder.encode(f" {form}", add_special_tokens=False).ids for form in forms]
        return min(of_piece(ids[0]) if len(ids) == 1 else of_piece(size) for ids in pieces)

    @lru_cache(1 << 16)
    def rarity(token: str) -> float:
        if RUNS.match(token):  # unspaced: as much as its pieces together
            return sum(map(of_piece, encoder.encode(token, add_special_tokens=False).ids))
        return sum(of_word(part) for part in COMPOUND.split(token))

    return rarity
