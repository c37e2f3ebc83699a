"""The papers say what is so: those that the code gives are what it gives, and what others quote is in the code."""

from __future__ import annotations

import ast
import re
from collections import Counter
from dataclasses import fields
from functools import cache

import pytest
from pydantic import BaseModel

from docs.generate import PAGES, events, recipes
from gemmalocal.jobs.event_lines import decode, encode
from gemmalocal.jobs.events import KINDS, Event
from gemmalocal.recipe import recipe_file
from gemmalocal.recipe.prepare_schema import Preparation
from gemmalocal.recipe.schema import Recipe
from tests.test_house import ROOT

DOCS = ROOT / "docs"
VALUE = "\0"
LEAST_QUOTED = 10  # letters of a sentence, without which anything would hold it
PARTS = [(part, Recipe) for part in recipes.RECIPE] + [(part, Preparation) for part in recipes.PREPARATION]
EXAMPLES = [example for group in events.GROUPS for example in group.examples]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_the_code_gives(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name](), "write it again: make docs"


def test_every_event_is_told_once() -> None:
    assert Counter(events.documented()) == Counter(list(KINDS))


@pytest.mark.parametrize("example", EXAMPLES, ids=events.documented())
def test_the_example_of_an_event_is_read_back(example: Event) -> None:
    assert decode(encode(example, events.AT)) == example


def test_only_fields_that_are_there_are_words() -> None:
    for name, words in events.WORDS.items():
        assert set(words) <= {field.name for field in fields(KINDS[name])}, name


def sections(model: type[BaseModel]) -> set[type[BaseModel]]:
    """A schema, and all that its keys hold."""
    inner = {part for field in model.model_fields.values() for part in recipe_file._models(field.annotation)}
    return {model, *inner, *(deep for part in inner for deep in sections(part))}


def test_every_section_of_keys_has_its_part() -> None:
    assert {part.model for part, _ in PARTS} == sections(Recipe) | sections(Preparation)


@pytest.mark.parametrize(("part", "whole"), PARTS, ids=[part.title for part, _ in PARTS])
def test_every_key_has_its_words_and_the_example_is_taken(part: recipes.Part, whole: type[BaseModel]) -> None:
    for name, field in part.model.model_fields.items():
        assert field.description or any(recipe_file._models(field.annotation)), name
    taken, problems = recipe_file.from_tree(recipe_file.scalar(part.example), whole)
    assert taken is not None, problems


@pytest.mark.parametrize(("schema", "text"), recipes.REFUSED)
def test_what_the_page_calls_refused_is(schema: type[BaseModel], text: str) -> None:
    assert recipe_file.from_tree(recipe_file.scalar(text), schema)[1]


def sentences() -> list[str]:
    """What docs/troubleshooting.md quotes: **"The disk is full: ... cannot be written."**"""
    text = " ".join((DOCS / "troubleshooting.md").read_text(encoding="utf-8").split())
    return re.findall(r'\*\*"(.+?)"\*\*', text)


@cache
def said() -> str:
    """Every text that the code holds, but no docstring, one a line; a value in it is `VALUE`."""
    texts = [(ROOT / "Makefile").read_text(encoding="utf-8")]
    for file in (*ROOT.glob("gemmalocal/**/*.py"), *ROOT.glob("tui/**/*.py")):
        nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
        docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        texts += [_literal(node) for node in nodes if id(node) not in docstrings]
    return "\n".join(" ".join(text.split()) for text in texts).replace("{}", VALUE)


def _literal(node: ast.AST) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(_literal(part) or VALUE for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


@pytest.mark.parametrize("sentence", sentences())
def test_a_sentence_that_troubleshooting_quotes_is_in_the_code(sentence: str) -> None:
    fixed = [part for part in sentence.removeprefix("... ").removesuffix(" ...").split("...") if part.strip()]
    assert sum(map(len, fixed)) >= LEAST_QUOTED
    assert re.search(f"{VALUE}[^\n]*".join(map(re.escape, fixed)), said()), f"nothing says so any more: {sentence}"


def test_troubleshooting_quotes_each_sentence_once() -> None:
    assert len(sentences()) > 60
    assert max(Counter(sentences()).values()) == 1
