"""What an English sentence answers: what something is, has, does or is for, how many, when, how to, and what if.

Only sentences whose form leaves no doubt are asked about: a short subject that is a thing's name, a verb that is known,
and an answer that is the whole sentence. A question says where it was read, for it has to stand alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from gemmalocal.synthesis.english_words import BASES, NO_SUBJECT, VAGUE
from gemmalocal.synthesis.piece import Piece, RuleQuestion

WORDS = range(6, 61)  # of a sentence that stands for itself
SUBJECT_WORDS = 6
WITHIN = re.compile(  # of a name: then the verb that was found is not its own
    r"\b(?:that|which|who|whose|whom|and|or|nor|but|if|when|where|while|because|as|it|its|this|these|those|he|she|they|"
    r"them|their|we|us|our|you|your|i|my|there|here|is|are|was|were|be|been|being|has|have|had|do|does|did|can|could|"
    r"may|might|must|shall|should|will|would|not|also|only|to|by|from|now|always|never|usually|often|then|still|already|"
    r"just|typically|generally|automatically|normally)\b",
    re.IGNORECASE,
)
JOINED = re.compile(  # a heading that no stop ends
    r" (?:The|A|An|If|When|This) |^[A-Z]{3,}(?: [A-Z]{2,})* [A-Z][a-z]|^[A-Z]{3,} [A-Z]{2,} "
)
NAME = r"(?:`[^`\n]{1,40}`|[^\W_][\w'’./+#-]*)"
SUBJECT = rf"(?P<subject>{NAME}(?: {NAME}){{0,{SUBJECT_WORDS - 1}}}?)"
CODE = re.compile(r"\]\(|\]\[|//|[{}<>|\\]|:\w+:`|`_\b|\(\w\)|\[\d+\]|\*\*|__")  # a sentence with such is no prose
BROKEN = re.compile(r" \.$|\w[-‐] \w|[:,;]$|\.\.\.")  # a line that is torn, or a word at a line's end
NUMBER_WORDS = (
    "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
    "nineteen twenty thirty forty fifty sixty seventy eighty ninety"
)
NUMBER = rf"(?:\d+(?:[.,]\d+)*|{'|'.join(NUMBER_WORDS.split())})(?: (?:hundred|thousand|million|billion))?"
HEDGE = r"(?:about |around |up to |at least |at most |exactly |only |over |more than |fewer than |less than |nearly )?"
UNITS = r"(?:[a-z-]{2,}[^s\W]s|people|men|women|children|feet|percent)"  # plural, by their form
UNIT = rf"(?P<unit>(?:(?!of |in |for |per |and |or |to |by )[a-z][a-z-]* ){{0,2}}?{UNITS})"
MONTH = "January|February|March|April|May|June|July|August|September|October|November|December"
DATE = rf"(?:(?:\d{{1,2}} )?(?:{MONTH})(?: \d{{1,2}},?)?(?: (?:1[5-9]|20)\d\d)?|(?:1[5-9]|20)\d\d)"
VERBS = "|".join(sorted(map(re.escape, {*BASES, *BASES.values()}), key=len, reverse=True))
HAS = (
    "has|have|contains?|takes?|holds?|uses?|needs?|requires?|supports?|keeps?|costs?|weighs?|lasts?|covers?|reads?|"
    "writes?"
)
DEFINITION = re.compile(
    rf"^{SUBJECT} (?P<verb>is|are|was|were) (?:an? |one of |any |the (?:\w+ )?(?:name|number|set|list|part|place|path|"
    rf"size|process|act|amount|way|default|first|last|only|\w+est) |"
    r"(?!those|all|none|out|because|instead|ahead|capable|aware|full|short|so|such|not|now|part)"
    r"[a-z]+ (?:of|that|which) )"
)
USED = re.compile(rf"^{SUBJECT} (?P<verb>is|are) used (?P<how>to|for|as) ")
ANY = "first|second|third|last|next|previous|other|given|whole|entire|current|new|old|default|main|returned"
MADE = re.compile(
    rf"^{SUBJECT} (?P<verb>is|are|was|were) (?P<how>made (?:of|from|by)|written in|(?:called|named)"
    r"(?! (?:with|by|from|in|when|as|if|on|at|for|to|after|before|once|only|every|during)\b)) "
)
WHERE = re.compile(
    rf"^{SUBJECT} (?P<verb>is|are|was|were) (?P<done>located|stored|found|kept|installed|written|defined|placed|saved|"
    rf"described|documented|logged|listed|declared) (?:in|at|under|on|to|beside|below) "
)
VALUE = re.compile(rf"^{SUBJECT} (?P<verb>is|are) (?:`[^`]+`|{NUMBER}|“[^”]+”|\"[^\"]+\")(?: [\w-]+){{0,4}}\.$")
NO_OBJECT = (  # what follows where the word before is no verb after all, or one of another sense
    r"to|from|only|of|with|if|in|on|at|by|for|not|been|when|after|before|as|are|is|was|were|and|or|up|down|out|off|back|about|much|faster|slower|"
    r"over|away|also|so|once|because|has|have|will|can|may|must|should|would|\w+ed|"
    rf"{'|'.join(map(re.escape, BASES))}"
)
DOES = re.compile(rf"^{SUBJECT} (?P<verb>{VERBS}) (?!(?:{NO_OBJECT})\b)")
CLOSER = re.compile(  # what tells one such statement from others: what for, or when
    r"(?P<closer> (?:to (?!the |an? |each |its |all |any |one |their |be |as )[a-z]+ (?!of )"
    r"|when |while |before |after |during )[^,;:()]{3,80}?)(?=[,;:]|\.$)"
)
HAVE = re.compile(
    r"(?:an?|the|no|its|their|many|several|different|\d+|[A-Z`“\"*]|\w+s\b)"
)  # what one has, not has done
HOLDS = re.compile(
    rf"^{SUBJECT} (?P<verb>{HAS}) {HEDGE}{NUMBER} {UNIT}(?P<rest>(?: (?:in|for|per|on|at|each|a) [^,;:()]+)?)"
    r"(?=[ ,.;:(])"
)
MEASURES = re.compile(
    rf"^{SUBJECT} (?P<verb>is|are|was|were) {HEDGE}{NUMBER} {UNIT}"
    r"(?P<rest>(?: (?:long|high|wide|deep|old|tall|away))?)\.$"
)
COUNTED = re.compile(
    rf"^(?:About |Around |Nearly |Only |Exactly |At least |At most )?{NUMBER} "
    rf"(?P<rest>(?:of the )?(?:[a-z-]+ ){{0,2}}?{UNITS} [a-z].+)\.$",
    re.IGNORECASE,
)
HAPPENED = re.compile(
    rf"^{SUBJECT} (?P<verb>was|were|is|are) (?P<done>(?:first |last |originally |officially )?\w+(?:ed|n|t|de|ght)\b"
    rf"(?: (?!in {DATE}|on {DATE}|since {DATE})[^\s,;:()]+){{0,8}}?) (?:in|on|since|by|until|before|after) {DATE}\b"
)
TO_DO = re.compile(
    r"^To (?P<clause>[a-z][^,;:.]{5,90}), (?:simply |just |first |please )?(?:use|run|set|add|call|type|press|pass|"
    r"give|specify|open|edit|install|write|put|see|create|enable|choose|select|turn|enter|start|execute|click|go|define|"
    r"include|append|make|remove|change|invoke|provide|import|you (?:can|must|need|have|should|may))\b"
)
HAPPENS = re.compile(
    r"^(?P<word>If|When) (?P<clause>(?:an?|the|no|there|`)[^,;:.]{8,90}), (?:the|an?|no|it|they|all|its|nothing|each|"
    r"[A-Z`][\w`.-]*) (?:[\w`.'-]+ ){0,4}?(?:\w+s|is|are|was|were|will|may|must|can|cannot)\b"
)
ELSEWHERE = re.compile(  # what a sentence speaks of that stands outside it
    r"\b(?:than|of|in|to|with|for|from|by|on|at|as) that\b"
    r"|\b(?:this|these|those|above|below|following|here|former|latter|earlier|previously)\b",
    re.I,
)
UNCLEAR = re.compile(  # what a clause speaks of that is not in it
    r"\b(?:it|its|this|that|these|those|them|they|their|he|she|above|below|following|here|such|same|other|we|our|us|one)\b"
    r"|^(?:also|instead|again|then|further|be|both|either|not|only|really|actually|better) ",
    re.IGNORECASE,
)


def stands_alone(line: str) -> bool:
    """Whether a sentence is whole, plain prose, and does not lean on the one before it."""
    words = re.findall(r"[\w'’-]+", line)
    whole = (
        all(line.count(left) == line.count(right) for left, right in ("()", "[]", "“”")) and line.count("`") % 2 == 0
    )
    whole = whole and not line[0].isdigit() and not BROKEN.search(line) and not CODE.search(line)
    return whole and line[-1] != "?" and len(words) in WORDS and not ELSEWHERE.search(line)


def definition(piece: Piece, line: str) -> RuleQuestion | None:
    """What something is, is used for, or is worth."""
    if match := USED.match(line):
        how = "for" if match["how"] in ("to", "for") else match["how"]
        return _about(piece, line, match, "definition", f"what {match['verb']} {{}} used {how}")
    if match := MADE.match(line):
        return _about(piece, line, match, "definition", f"what {match['verb']} {{}} {match['how']}")
    if match := DEFINITION.match(line) or VALUE.match(line):
        return _about(piece, line, match, "definition", f"what {match['verb']} {{}}")
    return None


def statement(piece: Piece, line: str) -> RuleQuestion | None:
    """What something does, holds or needs, or where it is."""
    if match := WHERE.match(line):
        return _about(piece, line, match, "statement", f"where {match['verb']} {{}} {match['done']}")
    if not (match := DOES.match(line)):
        return None
    base = BASES.get(match["verb"])
    if base is None and not match["subject"].rstrip("`").endswith("s"):
        return None
    if (base or match["verb"]) == "have" and not HAVE.match(line, match.end()):
        return None
    closer = CLOSER.search(line, match.end()) if (base or match["verb"]) not in ("have", "support") else None
    when = closer["closer"] if closer and not UNCLEAR.search(closer["closer"]) else ""
    return _about(
        piece, line, match, "statement", f"what {'does' if base else 'do'} {{}} {base or match['verb']}{when}"
    )


def number(piece: Piece, line: str) -> RuleQuestion | None:
    """How many there are of what is counted."""
    if match := MEASURES.match(line):
        return _about(piece, line, match, "number", f"how many {match['unit']}{match['rest']} {match['verb']} {{}}")
    if match := HOLDS.match(line):
        base = BASES.get(match["verb"]) or (match["verb"][:-1] if match["verb"].endswith("s") else "")
        ask = (
            f"how many {match['unit']} {'does' if base else 'do'} {{}} {base or match['verb']}{match['rest'].rstrip()}"
        )
        return _about(piece, line, match, "number", ask)
    match = COUNTED.match(line)
    if match and len(match["rest"].split()) in range(3, 16) and not UNCLEAR.search(match["rest"]):
        counted = match["rest"].split()[0 if not match["rest"].startswith("of the ") else 2]
        return None if counted.lower() in VAGUE else _question(piece, line, "number", f"how many {match['rest']}", True)
    return None


def date(piece: Piece, line: str) -> RuleQuestion | None:
    """When something happened."""
    if match := HAPPENED.match(line):
        return _about(piece, line, match, "date", f"when {match['verb']} {{}} {match['done']}")
    return None


def condition(piece: Piece, line: str) -> RuleQuestion | None:
    """How something is done, or what happens if something is so."""
    if (match := TO_DO.match(line)) and not UNCLEAR.search(match["clause"]):
        return _question(piece, line, "how", f"how do you {match['clause']}", True)
    if (match := HAPPENS.match(line)) and not UNCLEAR.search(match["clause"]):
        return _question(piece, line, "condition", f"what happens {match['word'].lower()} {match['clause']}", True)
    return None


WAYS = (number, date, definition, condition, statement)


def questions(
    way: Callable[[Piece, str], RuleQuestion | None], piece: Piece, lines: Sequence[str]
) -> Iterator[RuleQuestion]:
    """What one way asks about sentences."""
    return (question for line in lines if (question := way(piece, line)))


def place(piece: Piece, section: bool = True) -> str:
    """Where a passage is, to begin a question with: its document, and if wanted its section."""
    names = [f"in “{piece.title}”"] if piece.title else []
    heading = piece.section.rpartition(" > ")[2]
    if heading and (section or not names):
        names.append(f"under “{heading}”")
    return " ".join(names)


def _about(piece: Piece, line: str, match: re.Match[str], kind: str, ask: str) -> RuleQuestion | None:
    """The question that a match asks of its subject."""
    if not (subject := _subject(match["subject"], line, piece.title)):
        return None
    own = re.sub("^(?:the|an?) ", "", subject.lower()) in piece.title.lower()
    if kind == "statement" and own and not piece.section:
        return None
    if (
        not own and not piece.section and re.fullmatch(rf"the (?:{ANY} )?[^\W\d_]+", subject)
    ):  # which of the many in the document?
        return None
    common = subject[0].islower() or subject[0] == "`" or kind == "statement"
    return _question(piece, line, kind, ask.format(subject), common, own)


def _question(piece: Piece, line: str, kind: str, ask: str, common: bool, own: bool = False) -> RuleQuestion | None:
    """A question with where it was read, unless its subject is the document's; None for one that nothing sets apart."""
    where = "" if own and not common else place(piece, section=common)
    if common and not where:
        return None
    text = f"{where}, {ask}?" if where else f"{ask}?"
    says = f"“{piece.title}” says" if piece.title else "The source says"
    return RuleQuestion(text[0].upper() + text[1:], line, line, f"{says}: “{line}”", kind)


def _subject(words: str, line: str, title: str) -> str:
    """What a sentence is about, as it stands within one; "" if it is no name of a thing."""
    first, _, rest = words.partition(" ")
    if first.lower() in NO_SUBJECT or first.lower().endswith("ly") or WITHIN.search(words) or JOINED.search(words):
        return ""
    article = first.lower() in ("the", "a", "an")
    head = (rest if article else words).partition(" of ")[0].rpartition(" ")[2].lower()
    if (article and not rest) or head in VAGUE:
        return ""
    if article:
        return f"{first.lower()} {rest}"
    proper = (
        first[0] == "`"
        or rest[:1].isupper()
        or not (first.isalpha() and first[1:].islower())
        or re.search(rf"\b{re.escape(first)}\b", title)
        or re.search(rf"[^.] {re.escape(first)}\b", line)
    )
    return words if proper else words[0].lower() + words[1:]
