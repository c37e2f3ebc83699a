"""Is this text? Signs that a file was read as letters but not as words."""

from __future__ import annotations

import re

LONGEST = 27  # letters: longer than the alphabet, and than all but a few words
LONG = re.compile(rf"[A-Za-z\u00c0-\u024f]{{{LONGEST},}}")
LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]")
NOT_WORD = re.compile(r"[/\\@_=]")  # in addresses, paths, encoded data
MOJIBAKE = re.compile("[\u00c2\u00c3\u00d0\u00d1][\u0080-\u00bf]|\u00e2\u20ac.|\u00ef\u00bb\u00bf")
STRANGE = re.compile("[\ufffd\ue000-\uf8ff\x80-\x9f]|\\(cid:\\d+\\)")
SUSPECT = re.compile("[\u00c2\u00c3\u00d0\u00d1\u00e2\u00ef\ufffd\ue000-\uf8ff\x80-\x9f]")  # a character of these two
RTL = re.compile("[\u05d0-\u06ff]")
RTL_WORD = re.compile("[\u05d0-\u06ff]{2,}")
FINAL = frozenset("\u05da\u05dd\u05df\u05e3\u05e5\u0629\u0649")  # Hebrew and Arabic letters that only end words
LOST_SPACES, GARBAGE = 0.01, 0.01  # shares above which a text is not to be trusted


def lost_spaces(text: str) -> float:
    """The share of Latin letters that stand in runs longer than the alphabet; of real text less than 0.1 %."""
    words = text.split()
    long = [word for word in words if len(word) >= LONGEST and LONG.search(word) and not NOT_WORD.search(word)]
    if not long:
        return 0.0
    letters = len(LATIN.findall(" ".join(word for word in words if not NOT_WORD.search(word))))
    return sum(len(run) for word in long for run in LONG.findall(word)) / max(letters, 1)


def garbage(text: str) -> float:
    """The share of characters that no encoding meant: replaced, of private use, or UTF-8 read as Latin-1."""
    if not (SUSPECT.search("".join(set(text))) or "(cid:" in text):
        return 0.0
    strange = len(STRANGE.findall(text)) + sum(map(len, MOJIBAKE.findall(text)))
    return strange / max(len(text), 1)


def backwards(text: str) -> bool:
    """Hebrew or Arabic with the last letter of each word first, as it is drawn: more words begin than end with one
    that stands at the end of words only."""
    words = RTL_WORD.findall(text) if not text.isascii() else []
    return sum(word[0] in FINAL for word in words) > sum(word[-1] in FINAL for word in words)


def right_to_left(text: str) -> bool:
    """Whether there is Hebrew or Arabic in a text."""
    return not text.isascii() and RTL.search("".join(set(text))) is not None


def warnings(text: str) -> tuple[str, ...]:
    """Sentences about what may be wrong with a document's text."""
    sentences = []
    if (share := lost_spaces(text)) > LOST_SPACES:
        sentences.append(f"Words may have lost the spaces between them ({share:.0%} of the letters).")
    if (share := garbage(text)) > GARBAGE:
        sentences.append(f"Characters may be wrong: the encoding or the fonts do not say which they are ({share:.0%}).")
    if right_to_left(text) and backwards(text):
        sentences.append("Hebrew or Arabic words stand back to front.")
    return tuple(sentences)
