"""The time that is left: by the answers that came lately, and by how many a passage takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from gemmalocal.jobs.events import Counted, Progress
from gemmalocal.pipelines.shared.background import UNKNOWN, Teller
from gemmalocal.pipelines.shared.pace import LATELY, AnswerPace, Work
from gemmalocal.records import Message
from gemmalocal.synthesis.asking import Answer, Prompt, Remembered


def test_only_late_answers_tell_how_long_the_rest_takes() -> None:
    now = [0.0]
    pace = AnswerPace(lambda: now[0])
    assert pace.seconds(10) is None
    for _ in range(100):
        now[0] += 50  # a slow start
        pace.answered()
    for _ in range(LATELY):
        now[0] += 2
        pace.answered()
    assert pace.seconds(10) == 20


def test_passages_asked_again_count_and_known_answers_do_not(tmp_path: Path) -> None:
    def ask(prompts: Iterable[Prompt]) -> Iterator[tuple[int, Answer]]:
        for number, _ in enumerate(prompts):
            now[0] += 3
            yield number, Answer("x")

    now, tell = [0.0], Teller()
    remembered = Remembered(tmp_path / "asked.jsonl", ask, "me")
    work = Work(tell, 10, remembered, lambda: now[0])
    prompts = [Prompt((Message("user", str(number)),)) for number in range(6)]
    for number, _ in work.ask(prompts):  # three answers a passage
        if number % 3 == 2:
            work.advance(lambda: Counted(0, {}))
    events = [tell.news.get_nowait() for _ in range(tell.news.qsize())]
    last = [event for event in events if isinstance(event, Progress)][-1]
    assert (last.done, last.total, last.left) == (2, 10, 8 * 3 * 3.0)
    again = Work(tell, 10, Remembered(tmp_path / "asked.jsonl", ask, "me"), lambda: now[0])
    assert len(list(again.ask(prompts))) == 6
    events = [tell.news.get_nowait() for _ in range(tell.news.qsize())]
    assert {event.left for event in events if isinstance(event, Progress)} == {UNKNOWN}
