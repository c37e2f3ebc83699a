"""How alike two texts are: ROUGE-L and chrF, as rouge-score and sacrebleu have them.

Theirs would bring nltk, absl and four more packages for two short functions, and rouge-score knows only the letters a
to z.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

WORD = re.compile(r"\w+")
# Scripts that are written without blanks: each character counts as a word.
SPACELESS = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e00-\u0eff]")
LONGEST = 2000  # words of a text that are compared
ORDER, BETA = 6, 2  # of chrF2


def words(text: str) -> list[str]:
    """The words of a text, lower case."""
    spaced = SPACELESS.sub(lambda mark: f" {mark.group()} ", unicodedata.normalize("NFKC", text).lower())
    return WORD.findall(spaced.replace("_", " "))[:LONGEST]


def rouge_l(answer: str, reference: str) -> float:
    """F1 by the longest common subsequence of words."""
    given, wanted = words(answer), words(reference)
    if not given or not wanted:
        return 0.0
    common = _common(given, wanted)
    return 2 * common / (len(given) + len(wanted))


def _common(first: list[str], second: list[str]) -> int:
    """The length of the longest common subsequence, a machine word of bits at a time (Hyyrö, 2004)."""
    places: dict[str, int] = {}
    for place, word in enumerate(second):
        places[word] = places.get(word, 0) | 1 << place
    everything = (1 << len(second)) - 1
    bits = everything
    for word in first:
        matched = bits & places.get(word, 0)
        bits = ((bits + matched) | (bits - matched)) & everything
    return len(second) - bits.bit_count()


def chrf(answer: str, reference: str) -> float:
    """chrF2: F2 of the runs of 1 to 6 characters, white space aside, the mean over lengths."""
    given, wanted = ("".join(text.split())[: 10 * LONGEST] for text in (answer, reference))
    precision = recall = 0.0
    orders = 0
    for order in range(1, ORDER + 1):
        grams, expected = _grams(given, order), _grams(wanted, order)
        if not grams or not expected:
            continue
        shared = (grams & expected).total()
        precision += shared / grams.total()
        recall += shared / expected.total()
        orders += 1
    if not orders or not precision + recall:
        return 0.0
    precision, recall = precision / orders, recall / orders
    return (1 + BETA**2) * precision * recall / (BETA**2 * precision + recall)


def _grams(text: str, order: int) -> Counter[str]:
    return Counter(text[start : start + order] for start in range(len(text) - order + 1))
