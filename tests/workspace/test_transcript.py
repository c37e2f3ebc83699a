"""A chat's events folded, and its answers printed line by line."""

from __future__ import annotations

from gemmalocal.cli.answer_columns import ExchangePage
from gemmalocal.jobs.event_lines import decode, encode
from gemmalocal.jobs.events import Asked, Cleared, Event, Replied, Reply, Voices, Voted
from gemmalocal.workspace import transcript as talks

EVENTS: list[Event] = [
    Voices(["base", "tuned"], ["text", "text"]),
    Asked(1, "Life is", "", {"seed": 0}),
    Reply(1, 0, "long and", 2),
    Reply(1, 1, "short", 1),
    Replied(1, 1, "short.", 2, 0.5, 0.1, "end"),
    Reply(1, 0, " winding road that goes on\nand on", 9),
    Replied(1, 0, "long and winding road that goes on\nand on", 9, 2.1, 0.1, "length"),
    Voted(1, 1),
]


def folded(count: int) -> talks.Talk:
    talk = talks.Talk()
    for event in EVENTS[:count]:
        assert decode(encode(event, 0)) == event
        talks.fold(talk, event)
    return talk


def test_answers_grow_are_replaced_and_counted() -> None:
    assert [answer.text for answer in folded(4).exchanges[-1].answers] == ["long and", "short"]
    assert not folded(6).exchanges[-1].whole
    talk = folded(8)
    assert talk.exchanges[-1].whole
    assert talk.tally == [0, 1]
    assert round(EVENTS[4].rate, 3) == 2.5 if isinstance(EVENTS[4], Replied) else False
    talks.fold(talk, Asked(1, "Life is", "", {"seed": 1}))
    assert (len(talk.exchanges), talk.tally) == (1, [0, 0])
    talks.fold(talk, Cleared())
    assert talk.remembered == []
    assert "## 1. Life is" in talks.as_markdown(talk)


def test_a_line_is_printed_once_and_only_when_it_is_whole() -> None:
    for wanted, width, last in ((True, 80, 0), (False, 80, 0), (True, 40, 0)):
        page, lines = ExchangePage(["base", "tuned"], width, wanted), list[str]()
        for count in range(2, len(EVENTS)):
            lines += page.more(folded(count).exchanges[-1])
        assert lines == ExchangePage(["base", "tuned"], width, wanted).more(folded(8).exchanges[-1])
        beside = wanted and width == 80
        assert (" │ " in lines[0]) == beside
        assert ("short." in lines[1 + last]) == beside
        assert all(len(line) <= width for line in lines)
