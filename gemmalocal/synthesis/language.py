"""Just enough about languages: sentences, scripts, and whether a text is English."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

from gemmalocal.synthesis.english_words import FUNCTION

SMALL = "the and that with are were this which from had been it they their you your when its"
OWN = frozenset(SMALL.split())
SHARED = frozenset({"of", "is", "has", "for"})  # with English's neighbours
SHARE = 0.08  # of an English text's words are such
FEW = 0.05  # of the words of an English sentence, at least
NEIGHBOURS = "a an in on as was so i me s t also just is of over we had he will what her"  # words of theirs, too
ALSO_OTHERS = frozenset(NEIGHBOURS.split())
UNSPACED = re.compile("[\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
SPACELESS = "\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef"  # Chinese and Japanese, with their marks
FOREIGN = 0.02  # of a text's characters may be of a script without spaces between words: names, in a text with spaces
ABBREVIATION = r"(?<!\b[A-Z]\.)(?<!\b(?:Mr|Ms|Dr|St|vs|cf|No)\.)(?<!\b(?:Mrs|etc|e\.g|i\.e|Inc|Ltd|Fig|Vol)\.)"
MARKS = "。！？．｡।။།។"  # what ends a sentence without a space after it
AFTER = "」』”’）)"  # what may close behind such a mark
ENDS = re.compile(  # of sentences: a mark before a space and no small letter, or one that needs no space behind it
    rf"(?<=[.!?؟۔]){ABBREVIATION}(?=\s+[^\sa-z])|(?<=[.!?][\"'”’)])(?=\s+[^\sa-z])"
    rf"|(?<=[{MARKS}])(?![{AFTER}{MARKS}])|(?<=[{MARKS}][{AFTER}])(?![{AFTER}とのがをはに、，])"
)
WRAPPED = re.compile(rf"(?<=[{SPACELESS}]) ?\n ?(?=[{SPACELESS}])")  # a line's end where no space belongs


def sentences(text: str) -> list[str]:
    """The whole sentences of running text: lines that are no prose (tables, lists, headings) are left out."""
    prose = []
    for block in re.split(r"\n\s*\n|\n(?=\s*(?:[-*•|#]|\d+[.)]\s))", text):
        block = " ".join(WRAPPED.sub("", block).split())
        prose += [part.strip() for part in _split(block) if _is_sentence(part.strip())]
    return prose


def _split(block: str) -> list[str]:
    cuts = [0, *(match.start() for match in ENDS.finditer(block)), len(block)]
    return [block[start:end] for start, end in zip(cuts, cuts[1:], strict=False)]


def _is_sentence(text: str) -> bool:
    if not text or text[-1] not in f".!?؟۔\"'{MARKS}{AFTER}" or text[0] in "|#>-*•・■●":
        return False
    if unspaced(text):
        return len(text) > 8
    return len(text.split()) >= 4 and (text[0].isupper() or text[0] in "\"'“‘¿¡(" or not text[0].islower())


def script(text: str) -> str:
    """The script of most of a text's letters, by Unicode's names: LATIN, CYRILLIC, CJK, ...; empty if it has none."""
    names = (unicodedata.name(mark, "").split(" ")[0] for mark in text[:2000] if mark.isalpha())
    return max(Counter(names).items(), key=lambda item: item[1], default=("", 0))[0]


def unspaced(text: str) -> bool:
    """Whether a text is of a script that puts no spaces between words (Thai to Tibetan, Khmer, Chinese, Japanese)."""
    return len(UNSPACED.findall(text)) > FOREIGN * len(text)


def foreign(text: str, passage: str) -> bool:
    """Whether a text of some words cannot be of an English passage: it has hardly a small word, nor the passage's."""
    words = re.findall(r"[a-z']+", text.lower())
    own = set(re.findall(r"[a-z']+", passage.lower()))
    small = sum(word in FUNCTION and word not in ALSO_OTHERS for word in words)
    return small < FEW * len(words) and sum(word in own for word in words) < len(words) / 2


def english(text: str) -> bool:
    """Whether a text is English, by its small words; one of a few words may not be known."""
    words = re.findall(r"[a-z']+", text.lower())
    own = sum(word in OWN for word in words)
    return own > 0 and own + sum(word in SHARED for word in words) >= SHARE * len(words)
