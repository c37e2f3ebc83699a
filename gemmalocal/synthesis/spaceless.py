"""Rules for text without spaces between words: where Chinese and Japanese define, and gaps, if these are wanted.

As nobody tells us where a word ends, a gap is what its own characters set apart: a number, a Latin word, a quoted or a
katakana name, in Japanese kanji between kana; else the part of the sentence behind its last comma. Of other scripts
(Khmer, Burmese, Tibetan) gaps alone are asked, without a word in any language; Thai and Lao mark no sentences: none.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

from gemmalocal.synthesis import ways
from gemmalocal.synthesis.language import UNSPACED, sentences, unspaced
from gemmalocal.synthesis.piece import GAP, Piece, RuleQuestion

LENGTHS = range(8, 201)  # characters of a sentence that stands for itself
MOSTLY = 0.5  # of its letters are of such a script
BRACKETS = ("()", "（）", "「」", "『』", "《》", "“”", "[]", "【】", "〈〉")
CODE = re.compile(r"`|https?://|[{}<>=|\\]")
KANA = re.compile("[\u3041-\u3096\u30a1-\u30fa]")
HAN = "\u3400-\u9fff々〆"
TELLING = re.compile(  # a number, a Latin word, a katakana name, what stands in quotation marks
    r"[0-9０-９]+(?:[.,．，][0-9０-９]+)*|[A-Za-z][A-Za-z0-9.+_-]+|[ァ-ヺー]{3,}|(?<=[「『《“])[^「」『』《》“”]{2,12}(?=[」』》”])"
)
KANJI = re.compile(rf"(?<=[ぁ-ゖ、])[{HAN}]{{2,4}}(?=[ぁ-ゖ、])")  # most often a whole word
CLAUSE = re.compile(r"(?<=[，,、；])[^，,、；。！？]{4,40}(?=[。！？])")


class Language(NamedTuple):
    """How a language asks; `define` finds a sentence that says what its `subject` is."""

    leaning: re.Pattern[str]  # what a sentence begins with that leans on the one before it
    define: re.Pattern[str]
    tell: str
    fill: str
    fill_from: str
    says: str


JAPANESE = Language(
    re.compile(
        "これ|それ|あれ|この|その|あの|ここ|そこ|また|しか|そし|だか|ただ|なお|さら|つま|たと|例え|彼|同|本書|本章|本節|当社|弊社|次の|以下|上記|前述|と|[にはをがでのもへや]、"
    ),
    re.compile(
        rf"(?P<subject>[{HAN}ァ-ヺーA-Za-z0-9・_ .+-]{{2,24}})(?:とは|は)、?.{{4,}}"
        rf"(?:[{HAN}ァ-ヺーA-Za-z0-9）)]|もの|こと|ため|つ)(?:です|である|だ|をいう|を指す|をさす)。$"
    ),
    "{subject}について教えてください。",
    "次の文の空欄を埋めてください：{gap}",
    "「{title}」からの次の文の空欄を埋めてください：{gap}",
    "「{title}」にはこう書かれています：「{line}」",
)
CHINESE = Language(
    re.compile(
        "这|這|那|它|他|她|我|你|其|此|該|该|但|而|因|所以|然|并|並|同时|同時|另外|如果|例如|也|还|還|以下|上述|於是|于是|或"
    ),
    re.compile(
        rf"(?P<subject>[{HAN}A-Za-z0-9·_ .+-]{{1,14}}?[{HAN}A-Za-z0-9])(?<![但于於可还還就都也只不正却卻若要总總凡的])"
        r"(?:是指|指的是|是).{4,}。$"
    ),
    "请介绍一下{subject}。",
    "请填写下面句子中的空白：{gap}",
    "请填写《{title}》中下面句子的空白：{gap}",
    "《{title}》中写道：“{line}”",
)


def questions(piece: Piece, count: int, seed: int, gaps: bool) -> list[RuleQuestion]:
    """At most `count` questions about a passage; each answer is a sentence of it."""
    text = piece.passage.text
    language = _language(text)
    own = [line for line in sentences(text) if _stands_alone(line, language)]
    asked: list[ways.Way] = [_definitions(piece, own, language)] if language else []
    if gaps:
        asked.append(ways.gaps(piece, own, seed, partial(_gap, piece, language)))
    return ways.questions(asked, count)


def knows(text: str) -> bool:
    """Whether something else than gaps can be asked about a text."""
    return unspaced(text) and _language(text) is not None


def _language(text: str) -> Language | None:
    return JAPANESE if KANA.search(text) else CHINESE if re.search(f"[{HAN}]", text) else None


def words(line: str) -> list[str]:
    """What of a sentence is counted in the place of words: pairs of its characters, hiragana alone left out."""
    pairs = (line[index : index + 2] for index in range(len(line) - 1))
    return [two for two in pairs if two.isalnum() and not re.fullmatch("[ぁ-ゖ]+", two)]


def _definitions(piece: Piece, own: Sequence[str], language: Language) -> Iterator[RuleQuestion]:
    for line in own:
        if match := language.define.match(line):
            question = language.tell.format(subject=match["subject"].strip())
            yield RuleQuestion(question, line, line, _says(piece, line, language), "definition")


def _gap(piece: Piece, language: Language | None, line: str, chance: random.Random) -> RuleQuestion | None:
    gaps = [match for match in TELLING.finditer(line) if match.start()]
    if language is JAPANESE:
        gaps = gaps or list(KANJI.finditer(line))
    gaps = gaps or list(CLAUSE.finditer(line))
    if not gaps:
        return None
    match = chance.choice(gaps)
    gapped = f"{line[: match.start()]}{GAP}{line[match.end() :]}"
    if language is None:
        return RuleQuestion(gapped, line, line, line, "gap")
    question = (language.fill_from if piece.title else language.fill).format(title=piece.title, gap=gapped)
    return RuleQuestion(question, line, line, _says(piece, line, language), "gap")


def _says(piece: Piece, line: str, language: Language) -> str:
    return language.says.format(title=piece.title, line=line) if piece.title else line


def _stands_alone(line: str, language: Language | None) -> bool:
    letters = sum(mark.isalpha() for mark in line)
    whole = all(line.count(two[0]) == line.count(two[1]) for two in BRACKETS)
    whole = whole and len(line) in LENGTHS and len(UNSPACED.findall(line)) > MOSTLY * letters
    leans = language is not None and language.leaning.match(line)
    return whole and not leans and not line[0].isdigit() and not CODE.search(line) and GAP not in line
