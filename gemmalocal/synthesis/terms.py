"""Words of any script as an index counts them: what is matched, without a list of any language's words or endings."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import pairwise

STEM = 5  # letters of a word that count as its stem (truncation, as good as Snowball's rules for most languages)
# Scripts whose words are not set apart, or are heaped with endings (Hangul): pairs of their characters are terms.
RUN = "\u0e00-\u0fff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
RUNS = re.compile(f"[{RUN}]+")
NAMES = re.compile("[\u3400-\u9fff]{2,6}|[\u30a1-\u30fa\u30fc]{3,}|[\uac00-\ud7af]{2,}")
MARKS = "\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0dff"  # in words
WORD = rf"[^\W_][^\W_{MARKS}]*(?:[{MARKS}]+[^\W_{MARKS}]*)*"
JOINTS = re.compile(r"[-_./:+'’]+")
TOKEN = re.compile(rf"{WORD}(?:{JOINTS.pattern}{WORD})*")  # a word, or a name such as dh_make, debian/rules, 3.14


def tokens(text: str) -> list[str]:
    """The words and names of a text in their order, folded: case and width do not count."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return TOKEN.findall(folded if folded.isascii() else RUNS.sub(r" \g<0> ", folded))


def terms(text: str) -> list[str]:
    """What of a text is matched: words, their stems, names whole and in parts, pairs of unspaced characters."""
    return [term for token in tokens(text) for term in terms_of(token)]


def names(text: str) -> list[str]:
    """The words and names of a text as they are written, each once; of unspaced text its runs of Han and katakana."""
    plain = unicodedata.normalize("NFKC", text)
    written = TOKEN.findall(RUNS.sub(lambda run: f" {' '.join(NAMES.findall(run[0]))} ", plain))
    return list(dict.fromkeys(name for name in written if len(name) > 1))


@lru_cache(1 << 16)
def terms_of(token: str) -> tuple[str, ...]:
    """The terms of one of `tokens`."""
    if RUNS.match(token):
        return tuple(left + right for left, right in pairwise(token)) or (token,)
    parts = JOINTS.split(token)
    whole = ("-".join(parts),) if len(parts) > 1 else ()
    return whole + tuple(term for part in parts for term in _word(part))


def _word(word: str) -> tuple[str, ...]:
    """A word with its stem, if it is long enough: "keepers" is found by "keeper", "lamps" by "lamp"."""
    if len(word) < STEM or any(mark.isdigit() for mark in word):
        return (word,)
    return word, word[: min(STEM, len(word) - 1)]
