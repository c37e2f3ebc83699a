"""A web page as it is seen: without what is hidden, formulas and superscripts as text, lists with their numbers."""

from __future__ import annotations

import re
from typing import Any

from gemmalocal.documents import formulas, marks
from gemmalocal.documents.counters import numeral
from gemmalocal.documents.document import Hidden

INVISIBLE = re.compile(
    r"(?:^|[;\s])(?:display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|opacity\s*:\s*0?(?:\.0+)?\s*(?:;|!|$)"
    r"|font-size\s*:\s*0(?![.\d]*[1-9.]))",
    re.IGNORECASE,
)
MAY_HIDE = "@hidden or @style or self::dialog or (self::font and @color) or contains(@class, 'katex-html')"
RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
SELECTOR = re.compile(r"[.#][\w-]+")
COLOR = re.compile(r"(?:^|[;\s])color\s*:\s*([^;!]+)", re.IGNORECASE)
BACKGROUND = re.compile(r"background(?:-color)?\s*:\s*([^;!]+)", re.IGNORECASE)
WHITE = ("white", "#fff", "#ffffff", "rgb(255,255,255)", "rgba(255,255,255,1)")
CLEAR = ("transparent", "rgba(0,0,0,0)", "#0000", "#00000000")
RUBY = ("rt", "rp", "rtc")
WITHIN = "a abbr b bdi bdo cite code data del dfn em font i ins kbd mark q s samp small span strong u var"
INLINE = frozenset(WITHIN.split())  # elements that are part of a line
MARKED = 40  # characters before a superscript that tell what it is


def keep_visible(tree: Any) -> Hidden:
    """Make a tree what a person sees of it."""
    hidden = _without_hidden(tree)
    for node in list(tree.iter(*RUBY)):
        drop(node)
    for node in list(tree.iter("script")):
        if node.get("type", "").startswith("math/tex"):
            replace(node, " ".join((node.text or "").split()))
    for node in list(tree.iter("math", "{*}math")):
        replace(node, formulas.of_mathml(node))
    for node in list(tree.iter("sup", "sub")):
        write = marks.raised if node.tag == "sup" else marks.lowered
        replace(node, write(_before(node), " ".join("".join(node.itertext()).split())))
    for node in list(tree.iter("ol", "ul")):
        _number(node)
    return hidden


def drop(node: Any) -> None:
    """Take an element out of its tree; the text behind it stays."""
    replace(node, "")


def replace(node: Any, text: str) -> None:
    """Put text in the place of an element."""
    parent, previous = node.getparent(), node.getprevious()
    if parent is None:
        return
    text += node.tail or ""
    node.tail = None
    if previous is not None:
        previous.tail = (previous.tail or "") + text
    else:
        parent.text = (parent.text or "") + text
    parent.remove(node)


def _before(node: Any) -> str:
    """The text in front of an element, in its line, or at least the end of that."""
    text = ""
    while len(text) < MARKED:
        previous = node.getprevious()
        if previous is not None:
            text = (previous.tail or "") + text
            if previous.tag not in INLINE:
                return text
            text = "".join(previous.itertext()) + text
            node = previous
            continue
        node = node.getparent()
        if node is None:
            return text
        text = (node.text or "") + text
        if node.tag not in INLINE:
            return text
    return text


def _without_hidden(tree: Any) -> Hidden:
    pieces = characters = 0
    rules = _rules(tree)
    plain = not any("background" in (style.text or "") for style in tree.iter("style")) and not any(
        "stylesheet" in link.get("rel", "") for link in tree.iter("link")
    )
    may = tree.xpath(f"//*[{MAY_HIDE}{' or @class or @id' if rules else ''}]")
    hidden = [node for node in may if _is_hidden(node, rules, plain)]
    within = set(hidden)
    for node in hidden:
        if node.tag in ("html", "body") or any(above in within for above in node.iterancestors()):
            continue
        text = "" if node.tag in ("script", "style", "input") else " ".join("".join(node.itertext()).split())
        if text and "katex-html" not in node.get("class", ""):
            pieces, characters = pieces + 1, characters + len(text)
        drop(node)
    return Hidden(pieces, characters)


def _rules(tree: Any) -> set[str]:
    """Classes and ids that a page's own style hides, outside of conditions as @media print."""
    selectors = set[str]()
    for style in tree.iter("style"):
        text = re.sub(r"@[\w-]+[^{}]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}", "", style.text or "")
        for rule in RULE.finditer(text):
            if INVISIBLE.search(rule[2]):
                selectors.update(name for name in map(str.strip, rule[1].split(",")) if SELECTOR.fullmatch(name))
    return selectors


def _is_hidden(node: Any, rules: set[str], plain: bool) -> bool:
    if node.tag == "dialog" and node.get("open") is None:
        return True
    if not node.attrib:
        return False
    style = node.get("style", "")
    if node.get("hidden") not in (None, "until-found") or (style and INVISIBLE.search(style)):
        return True
    if "katex-html" in node.get("class", ""):
        return True
    if rules and (f"#{node.get('id')}" in rules or any(f".{name}" in rules for name in node.get("class", "").split())):
        return True
    color = _color(COLOR.search(style)) or (node.get("color", "") if node.tag == "font" else "").lower()
    return color in CLEAR or (color != "" and _is_on_itself(node, color, plain))


def _color(match: re.Match[str] | None) -> str:
    return re.sub(r"\s", "", match[1]).lower() if match else ""


def _is_on_itself(node: Any, color: str, plain: bool) -> bool:
    """Has a text the color of what is behind it? Where no style says, that is white."""
    for above in (node, *node.iterancestors()):
        behind = _color(BACKGROUND.search(above.get("style", ""))) or above.get("bgcolor", "").lower()
        if behind and behind not in CLEAR:
            return behind == color or (behind in WHITE and color in WHITE)
    return plain and color in WHITE


def _number(items: Any) -> None:
    """Write the number, or a dash, before each item of a list."""
    count = int(items.get("start", "")) if re.fullmatch(r"-?\d{1,9}", items.get("start", "")) else 1
    own = [item for item in items if item.tag == "li"]
    step = 1
    if items.get("reversed") is not None:
        step, count = -1, count if items.get("start") else len(own)
    for item in own:
        if re.fullmatch(r"-?\d{1,9}", item.get("value", "")):
            count = int(item.get("value"))
        _begin(item, f"{numeral(count, items.get('type', '1'))}. " if items.tag == "ol" else "- ")
        count += step


def _begin(item: Any, mark: str) -> None:
    node = item
    while not (node.text or "").strip() and len(node) and node[0].tag not in ("ol", "ul", "table", "pre", "br", "img"):
        node = node[0]
    if "".join(item.itertext()).strip():
        node.text = mark + (node.text or "").lstrip()
