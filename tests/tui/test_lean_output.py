"""What is sent to the terminal in fewer bytes is the same picture, held against a small terminal of our own."""

from __future__ import annotations

import random

import pytest
from rich.style import Style

from tests.tui.recorded import RUNS, record
from tests.tui.terminal import Terminal, opened, pressed
from tui.changed_cells import PLAIN, Look
from tui.lean_output import Shortener

COLUMNS, LINES = 40, 12
STRETCH, STYLE = 5, 45  # bytes of a place; of two colours, told as red, green and blue
TEXTS = ["word", "   ", " " * 15, "日本", "x", "\u2500" * 9]


def styled(dice: random.Random, text: str) -> str:
    colors = [None, "red", "#112233", "color(99)", "bright_blue"]
    bold, reverse, underline = (dice.random() < 0.2 or None for _ in range(3))
    colours = Style(color=dice.choice(colors), bgcolor=dice.choice(colors))
    return (colours + Style(bold=bold, reverse=reverse, underline=underline)).render(text)


def frame(dice: random.Random) -> str:
    """Some lines, whole or in part, as Textual paints them; now and then something that it does not understand."""
    parts = []
    for row in dice.sample(range(1, LINES), dice.randrange(1, 6)):
        parts.append(f"\x1b[{row};{dice.randrange(1, 9)}H")
        parts += [
            styled(dice, dice.choice(["word", "   ", " " * 15, "日本", "x", "\u2500" * 9]))
            for _ in range(dice.randrange(4))
        ]
        parts.append(dice.choice(["", "", "", "\r\n", "\x1b[K", "\x1b]0;title\x07", "\x1b[?25l", "\x1b[2J"]))
    return "".join(parts)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("erases", [True, False])
def test_the_picture_is_the_same_after_each_frame(seed: int, erases: bool) -> None:
    dice, shortener, whole, short = random.Random(seed), Shortener(erases), Terminal(), Terminal()
    bytes_whole = bytes_short = 0
    for _ in range(150):
        data = "\x1b[0m" + frame(dice)
        less = shortener.short(data)
        whole.write(data)
        short.write(less)
        assert short.cells == whole.cells
        assert (short.row, short.column) == (whole.row, whole.column)
        bytes_whole, bytes_short = bytes_whole + len(data), bytes_short + len(less)
    assert bytes_short < bytes_whole


@pytest.mark.parametrize("seed", range(4))
def test_who_comes_after_finds_cursor_and_style_as_they_were_to_be(seed: int) -> None:
    dice, shortener, whole, short = random.Random(seed), Shortener(), Terminal(), Terminal()
    for _ in range(50):
        data = "\x1b[0m" + frame(dice)
        for after_it in ("\x1b[?1049l", "\x1b[2J"):  # the app has ended; a sequence that is not known
            whole.write(data + after_it)
            short.write(shortener.short(data) + shortener.short(after_it))
            assert short.cells == whole.cells
            assert (short.row, short.column, short.look) == (whole.row, whole.column, whole.look)


def test_what_is_there_already_is_not_sent_again() -> None:
    blue = Style.parse("white on #101820")
    shortener = Shortener()
    line = "\x1b[0m\x1b[3;1H" + "".join(blue.render(text) for text in ("one ", "two ", "three"))
    assert len(shortener.short(line)) < 60
    assert len(shortener.short(line)) < 12
    assert shortener.short(line.replace("two", "TWO")).count("TWO") == 1
    assert "three" not in shortener.short(line)
    shortener.forget()
    assert "three" in shortener.short(line)


def table(words: str) -> str:
    """Ten lines of two columns, each in a colour of its own, and spaces between them in a third."""
    left, right, gap = (Style.parse(f"{colour} on #101820") for colour in ("#ff8800", "#0088ff", "#aabbcc"))
    lines = (left.render(f"{words[row]}{row:04}") + gap.render("  ") + right.render(words[-row]) for row in range(10))
    return "\x1b[0m" + "".join(f"\x1b[{row};3H{line}" for row, line in enumerate(lines, 1))


def test_styles_are_said_once_where_that_is_shorter() -> None:
    shortener, terminal, whole = Shortener(), Terminal(), Terminal()
    for words, colours in (("abcdefghijk", 2), ("lmnopqrstuv", 1)):  # then with the one that the terminal has
        sent = shortener.short(table(words))
        terminal.write(sent)
        whole.write(table(words))
        assert terminal.cells == whole.cells
        assert sent.count("38;2;") == colours  # of those that are seen
    assert len(sent) < 250


def test_only_the_cells_that_are_others_are_sent() -> None:
    shortener = Shortener()
    shortener.short("\x1b[0m\x1b[5;1Hone and the same line, with a word in it")
    sent = shortener.short("\x1b[5;1HOne and the same lime, with a sword in it")
    assert sent == "\x1b[5HO\x1b[18Cm\x1b[10Csword in it"


def test_the_next_line_is_one_line_down_and_a_few_columns_back() -> None:
    shortener, rows = Shortener(), (17, 18, 19)
    shortener.short("\x1b[0m" + "".join(f"\x1b[{row};1Hrun-0{row}  40 %" for row in rows))
    sent = shortener.short("".join(f"\x1b[{row};1Hrun-1{row}" for row in rows))
    assert sent == "\x1b[17;5H1\x1b[B\b1\x1b[B\b1\x1b[19;8H"
    behind = shortener.short("\x1b[17;1H" + "=" * 13 + "\x1b[18;12H#!\x1b[18;1H")
    assert "\x1b[18;12H" in behind  # a cursor behind the last column may stand on it


@pytest.mark.parametrize(("then", "look"), [("\x1b[3;1H\x1b[31mred", Look("31")), ("\x1b[?1049l", PLAIN)])
def test_after_a_resize_no_style_of_before_is_left(then: str, look: Look) -> None:
    """Nobody knows what the terminal shows then; frames begin with a colour, and an app that ends with nothing."""
    shortener, terminal = Shortener(), Terminal()
    terminal.write(shortener.short("\x1b[0m\x1b[1;1H\x1b[1;7mbold\x1b[0m"))
    shortener.forget()
    terminal.write(shortener.short(then))
    assert terminal.look == look


def test_spaces_that_are_reversed_have_the_colour_that_is_seen() -> None:
    shortener, terminal = Shortener(), Terminal()
    for colour in ("31", "34"):
        terminal.write(shortener.short(f"\x1b[0m\x1b[1;1H\x1b[{colour};7m   \x1b[0m"))
        assert terminal.cells[1, 2][1].fore == colour


def test_codes_that_are_not_known_and_pieces_of_codes_pass_as_they_are() -> None:
    shortener = Shortener()
    for data in ("\x1b[0;58;2;1;2;3mwave", "\x1b[38;2;1mhalf", "\x1b[4:3mcurl", "plain\r\n\t\x07", "\x1b", "end"):
        assert data in shortener.short(data)


def test_a_key_and_a_dialog_take_few_bytes_in_a_real_terminal() -> None:
    for name in ("first", "second", "third"):
        record(name, RUNS["finished"])
    keys = {"down": "j", "help": "?", "close": "\x1b", "search": "/", "letter": "f"}
    keys |= {"palette": "\x10", "first": "r", "second": "u", "back": "\x7f", "all": "\x7f"}
    with opened(160, 50) as (terminal, _):
        sizes = {name: len(pressed(terminal, key)) for name, key in keys.items()}
    dialogs = {name: sizes.pop(name) for name in ("help", "close", "search", "palette")}
    assert max(sizes.values()) <= 2_000, sizes
    assert max(dialogs.values()) <= 40_000, dialogs


@pytest.mark.parametrize(("columns", "lines", "most"), [(160, 50, 6_500), (80, 24, 2_600)])
def test_another_list_takes_little_more_than_the_cells_that_are_others_in_it(
    columns: int, lines: int, most: int
) -> None:
    """The floor: each cell that changes is sent, in three bytes where it is of a curve; beside it a place, not a style.

    Another order of 40 runs changes most letters of most lines: that is more than the 2 kB of other keys, and no
    terminal has a way to say "these lines in another order". Where few lines change, few bytes go.
    """
    for number in range(40):
        record(f"run-{number:02}", RUNS[sorted(RUNS)[number % len(RUNS)]])
    shown = Terminal()
    with opened(columns, lines) as (terminal, sent):
        shown.write(sent.decode())
        for key in ("\x1b[F", "\x1b[H", "o", "o", "f", "f", "f", "f", "f", "/", "3"):
            before = dict(shown.cells)
            sent = pressed(terminal, key)
            shown.write(sent.decode())
            others, letters = shown.others(before)
            stretches = sum(
                (row, column - 1) not in others or others[row, column - 1][1] != look
                for (row, column), (_, look) in others.items()
            )
            styles = len({look for _, look in others.values()})
            floor = letters + STRETCH * stretches + STYLE * styles
            assert len(sent) <= min(most, floor + 300), (key, len(sent), letters, stretches, styles)
