"""What Documents to rows says of the task at hand: an example, and what the settings make of it."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from gemmalocal.recipe.prepare_schema import Preparation, TaskName
from tui.app import GemmalocalApp
from tui.screens.documents import DocumentsScreen
from tui.widgets.task_card import EXAMPLES, TaskCard, about


def card(**settings: Any) -> str:
    return about(Preparation(sources=["a.md"], **settings)).plain


def test_each_task_has_an_example_and_says_how_rows_are_made() -> None:
    assert sorted(EXAMPLES) == sorted(get_args(TaskName))
    for task in sorted(EXAMPLES):
        text = card(task=task, **({"run": "mine", "temperature": 0.7} if task == "pairs" else {}))
        assert all(part in text for _, part in EXAMPLES[task])
        assert "made\n" in text
        assert "held out\n" in text


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"pairs": 1, "passage_tokens": 200}, "read by gemma-3-270m-demo, which writes up to 1 row of each"),
        ({"rows": 40}, "40 rows of all"),
        ({"per_1000_tokens": 2.5}, "2.5 rows of each 1,000 tokens"),
        ({"author": "rules"}, "Rules ask only"),
        ({"author": "rules", "task": "summary"}, "the main sentences"),
        ({"endpoint": {"url": "http://localhost:1/v1"}}, "read by a server"),
        ({"round_trip": True}, "the same answer"),
        ({"held_out": 0.15}, "15 % of the rows"),
        ({"held_out": 0}, "no run can show"),
        ({"task": "answers", "tries": 6}, "up to 6 times"),
        ({"task": "pairs", "run": "mine", "answers": "base"}, "by a run and by the base model"),
    ],
)
def test_it_follows_the_settings(settings: dict[str, Any], said: str) -> None:
    assert said in card(**settings)


def test_what_is_not_done_is_not_said() -> None:
    assert "the same answer" not in card(round_trip=False) + card(author="rules") + card(task="summary")
    assert "checked" not in card(task="text")


@pytest.mark.parametrize(("width", "beside"), [(80, False), (160, True)])
async def test_it_stands_beside_the_form_where_there_is_room(width: int, beside: bool) -> None:
    app = GemmalocalApp()
    async with app.run_test(size=(width, 40)) as pilot:
        await app.push_screen(DocumentsScreen(spec={"task": "cot"}))
        await pilot.pause()
        shown = app.screen.query_one(TaskCard)
        assert bool(shown.region.width) == beside
        assert "So 30 litres." in str(shown.content)
        form = app.screen.query_one("FieldForm")
        form.fill({"task": "pairs"})  # type: ignore[attr-defined]  # which is not whole: it names no run
        app.screen.on_field_form_edited()  # type: ignore[attr-defined]
        assert "It holds 10 litres." in str(shown.content)
