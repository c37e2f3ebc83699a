"""Whatever a file does to the process that reads it: it is refused by name, and the others are read."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import psutil
import pytest

from gemmalocal.documents import isolated, limits, packed, reader_child
from gemmalocal.documents.document import Document
from gemmalocal.documents.find import find_documents
from gemmalocal.documents.isolated import IsolatedReader
from gemmalocal.documents.limits import Limits
from gemmalocal.documents.read import read, read_each
from gemmalocal.errors import DocumentError
from gemmalocal.records import Rejected
from tests.documents import samples

PLENTY = Limits(1 << 30)
Items = list[Document | Rejected | DocumentError]


def everything(reader: IsolatedReader, places: list[str]) -> dict[str, Items]:
    """What came of each place, by its name; why it was refused stands at the end."""
    items_by_name: dict[str, Items] = {}
    for place, items in reader.read_all(places):
        taken = items_by_name.setdefault(Path(place).name, [])
        try:
            for item in items:
                taken.append(item)
        except DocumentError as error:
            taken.append(error)
    return items_by_name


def directly(place: str) -> Items:
    taken: Items = []
    try:
        for item in read_each(place):
            taken.append(item)
    except DocumentError as error:
        taken.append(error)
    return taken


def slow(path: Path, count: int = 30_000) -> Path:
    """A small file that takes a second, or more."""
    cells = "".join(f"<p>{number} <b>of</b> <i>many</i> words</p>" for number in range(count))
    path.write_bytes(gzip.compress(f"<html><body>{cells}</body></html>".encode()))
    return path


def text(folder: Path, name: str) -> Path:
    (folder / name).write_text(f"The pump of {name} wants oil in the spring.")
    return folder / name


def left() -> set[str]:
    return {folder.name for folder in Path(tempfile.gettempdir()).glob(f"{reader_child.PREFIX}{os.getpid()}-*")}


def test_it_reads_what_is_read_without_it(tmp_path: Path) -> None:
    samples.pdf(tmp_path / "a.pdf", [["Hello there"], ["A second page"]])
    (tmp_path / "b.jsonl").write_text(
        "".join(f'{{"text": "row {n}", "title": "T"}}\n' for n in range(700)) + "{\n[1]\n"
    )
    (tmp_path / "c.docx").write_bytes(b"PK no")
    (tmp_path / "d.xyz").write_text("x")
    (tmp_path / "e.txt").write_text("Caf\ufffd \x1b[31m 漢字 \U0001f600")
    places = [*find_documents([str(tmp_path)]), str(tmp_path / "nowhere.txt")]
    with IsolatedReader(bounds=PLENTY) as reader:
        items_by_name = everything(reader, places)
    assert len(items_by_name["b.jsonl"]) == 702
    for place in places:
        ours, theirs = items_by_name[Path(place).name], directly(place)
        assert [repr(item) for item in ours] == [repr(item) for item in theirs]
    assert not left()


@pytest.mark.skipif("sys.platform == 'darwin'", reason="file names are Unicode there")
def test_names_keep_their_bytes(tmp_path: Path) -> None:
    place = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.txt")
    Path(place).write_text("A name that is no UTF-8.")
    with IsolatedReader(bounds=PLENTY) as reader:
        ((item,),) = everything(reader, [place]).values()
    assert isinstance(item, Document)
    assert (item.source, item.text) == (f"{tmp_path}/caf\ufffd.txt", "A name that is no UTF-8.")


def test_what_takes_too_much_memory_is_refused_and_the_others_are_read(tmp_path: Path) -> None:
    (tmp_path / "b.html").write_text("<p><b>x</b></p>" * 1_000_000)
    places = [str(text(tmp_path, "a.txt")), str(tmp_path / "b.html"), str(text(tmp_path, "c.txt"))]
    with IsolatedReader(bounds=Limits(200 << 20)) as reader:
        items_by_name = everything(reader, places)
    (refused,) = items_by_name["b.html"]
    assert isinstance(refused, DocumentError)
    assert "b.html takes more than 210 MB of memory to read" in refused.message
    assert "pump of a.txt" in repr(items_by_name["a.txt"])
    assert "pump of c.txt" in repr(items_by_name["c.txt"])


def test_what_takes_too_long_is_refused_and_the_others_are_read(tmp_path: Path) -> None:
    places = [str(slow(tmp_path / "a.html.gz", 60_000)), str(text(tmp_path, "b.txt"))]
    with IsolatedReader(bounds=Limits(1 << 30, seconds=1)) as reader:
        items_by_name = everything(reader, places)
    (refused,) = items_by_name["a.html.gz"]
    assert isinstance(refused, DocumentError)
    assert "a.html.gz takes more than 1 seconds to read" in refused.message
    assert "pump of b.txt" in repr(items_by_name["b.txt"])
    assert not left()


def children() -> set[psutil.Process]:
    """Of this process, with those of earlier tests that ended and were not waited for."""
    return set(psutil.Process().children())


class Killer:
    """Kills the process that reads, once, while a document is waited for."""

    def __init__(self) -> None:
        self.earlier = children()
        self.reader: IsolatedReader | None = None
        self.killed = 0

    def __call__(self) -> None:
        if self.killed or self.reader is None or not any(child.ready for child in self.reader._children):
            return
        self.killed += 1
        (child,) = children() - self.earlier
        child.send_signal(signal.SIGSEGV)


def test_a_crash_is_told_and_the_others_are_read(tmp_path: Path) -> None:
    places = [str(slow(tmp_path / "a.html.gz")), str(text(tmp_path, "b.txt"))]
    kill = Killer()
    with IsolatedReader(idle=kill, bounds=PLENTY) as kill.reader:
        items_by_name = everything(kill.reader, places)
    (refused,) = items_by_name["a.html.gz"]
    assert isinstance(refused, DocumentError)
    assert "a.html.gz makes the program that reads it fail (SIGSEGV)" in refused.message
    assert "pump of b.txt" in repr(items_by_name["b.txt"])
    assert kill.killed == 1


def test_a_document_is_not_blamed_for_what_another_may_have_done(tmp_path: Path) -> None:
    places = [str(text(tmp_path, "a.txt")), str(slow(tmp_path / "b.html.gz"))]
    kill = Killer()
    with IsolatedReader(idle=kill, bounds=PLENTY) as kill.reader:
        items_by_name = everything(kill.reader, places)
    assert isinstance(items_by_name["b.html.gz"][0], Document)
    assert kill.killed == 1


def test_one_that_has_grown_is_replaced(tmp_path: Path) -> None:
    places = [str(text(tmp_path, f"{number}.txt")) for number in range(3)]
    with IsolatedReader(bounds=Limits(1 << 30, grown=1)) as reader:
        items_by_name = everything(reader, places)
    assert all(isinstance(items[0], Document) for items in items_by_name.values())
    assert not left()


def test_whoever_waits_may_give_up(tmp_path: Path) -> None:
    earlier = children()

    def stop() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError), IsolatedReader(idle=stop, bounds=PLENTY) as reader:
        everything(reader, [str(slow(tmp_path / "a.html.gz"))])
    assert not children() - earlier
    assert not left()


def test_nothing_is_left_when_whoever_asked_is_killed(tmp_path: Path) -> None:
    slow(tmp_path / "a.html.gz")
    asks = (
        "import sys; from gemmalocal.documents.isolated import IsolatedReader\n"
        "with IsolatedReader(idle=lambda: print('waits', flush=True)) as reader:\n"
        "    for place, items in reader.read_all(sys.argv[1:]): list(items)"
    )
    command = [sys.executable, "-c", asks, str(tmp_path / "a.html.gz")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as asking:
        assert asking.stdout is not None
        asking.stdout.readline()
        (reading,) = psutil.Process(asking.pid).children()
        asking.kill()
    end = time.monotonic() + 60
    while reading.is_running() and reading.status() != psutil.STATUS_ZOMBIE and time.monotonic() < end:
        time.sleep(0.05)
    assert not list(Path(tempfile.gettempdir()).glob(f"{reader_child.PREFIX}{asking.pid}-*"))


def test_what_the_killed_left_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    stale, own = (
        tmp_path / f"{reader_child.PREFIX}{gone.stdout.strip()}-x",
        tmp_path / f"{reader_child.PREFIX}{os.getpid()}-x",
    )
    for folder in (stale, own):
        folder.mkdir()
        (folder / "a.html").write_text("x")
    reader_child.sweep()
    assert (stale.exists(), own.exists()) == (False, True)


def test_limits_grow_with_the_file_and_fit_the_machine() -> None:
    plan = limits.planned()
    assert 1 << 30 <= plan.memory <= 3 << 30
    assert plan.time(512 << 20) > plan.time(1000) >= 120


def zipped(path: Path, parts: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def test_a_chapter_that_a_book_names_2000_times_is_read_once(tmp_path: Path) -> None:
    with zipfile.ZipFile(
        samples.epub(tmp_path / "a.epub", {"c.xhtml": "<html><body><p>One chapter</p></body></html>"})
    ) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    entry = b'<itemref idref="c0"/>'
    parts["OPS/book.opf"] = parts["OPS/book.opf"].replace(entry, entry * 2000)
    assert read(str(zipped(tmp_path / "b.epub", parts))).text == "One chapter"


@pytest.mark.parametrize("quote", ['"x"', "'x'", "x", ""])
def test_an_element_with_200000_attributes_is_read_at_once(tmp_path: Path, quote: str) -> None:
    attributes = " ".join(f"a{number}{'=' if quote else ''}{quote}" for number in range(200_000))
    (tmp_path / "a.html").write_text(f"<html><body><p {attributes}>Hello there</p><p>again</p></body></html>")
    assert read(str(tmp_path / "a.html")).text == "Hello there\n\nagain"


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (40 << 20, "unpacks to [0-9]+ times its size, which no document does"),
        (80 << 20, "is too large"),
    ],
)
def test_a_packed_file_that_grows_beyond_measure_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, said: str
) -> None:
    monkeypatch.setattr(packed, "LARGEST", 64 << 20)
    parts = {f"word/{number}.xml": b" " * (size // 16) for number in range(16)}
    zipped(tmp_path / "a.docx", {"[Content_Types].xml": b"<x/>", "word/document.xml": b"<x/>", **parts})
    with pytest.raises(DocumentError, match=said):
        read(str(tmp_path / "a.docx"))


@pytest.mark.parametrize("tag", ["<font>", "<div>", "<b>", "<ul><li>"])
def test_elements_that_nobody_closed_take_no_words_away(tmp_path: Path, tag: str) -> None:
    words = "".join(f"{tag}word{number} " for number in range(600))
    (tmp_path / "a.html").write_text(f"<html><body><p>The start.</p>{words}</body></html>")
    assert "word599" in read(str(tmp_path / "a.html")).text


class Counting:
    """How many processes read at the same time, at the most, and how many had to yield."""

    def __init__(self, reader: IsolatedReader) -> None:
        self.reader, self.most, self.yielded = reader, 0, set[int]()

    def __call__(self) -> None:
        self.most = max(self.most, len(self.reader._children))
        self.yielded |= {id(child) for child in self.reader._children if child.killed_for == isolated.YIELDED}


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second process starts without our having waited for the first."""
    monkeypatch.setattr(isolated, "WAITED", -1.0)
    monkeypatch.setattr(isolated, "TURN", 0.02)


@pytest.mark.usefixtures("at_once")
def test_two_read_side_by_side_in_the_documents_order(tmp_path: Path) -> None:
    earlier = children()
    places = [str(slow(tmp_path / "0.html.gz", 8000))]
    places += [str(text(tmp_path, f"{number}.txt")) for number in range(1, 40)]
    places.insert(20, str(slow(tmp_path / "a.html.gz", 8000)))
    with IsolatedReader(bounds=Limits(1 << 30, readers=2)) as reader:
        reader.idle = counting = Counting(reader)
        items_by_name = everything(reader, places)
    assert counting.most == 2
    assert list(items_by_name) == [Path(place).name for place in places]
    assert [repr(items_by_name[Path(place).name]) for place in places] == [repr(directly(place)) for place in places]
    assert not children() - earlier
    assert not left()


@pytest.mark.usefixtures("at_once")
def test_a_small_job_starts_one_process(tmp_path: Path) -> None:
    places = [str(slow(tmp_path / "a.html.gz", 4000)), str(text(tmp_path, "b.txt"))]
    with IsolatedReader(bounds=Limits(1 << 30, readers=2)) as reader:
        reader.idle = counting = Counting(reader)
        everything(reader, places)
    assert counting.most == 1


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("victim", [0, 1])
def test_of_two_the_death_of_one_refuses_its_file_alone(tmp_path: Path, victim: int) -> None:
    places = [str(slow(tmp_path / f"{number}.html.gz", 10_000)) for number in range(3)] + [str(text(tmp_path, "c.txt"))]
    killed: list[int] = []

    def kill() -> None:
        children = reader._children
        if not killed and len(children) == 2 and all(child.ready for child in children):
            killed.append(1)
            children[victim]._process.send_signal(signal.SIGSEGV)

    with IsolatedReader(idle=kill, bounds=Limits(1 << 30, readers=2)) as reader:
        items_by_name = everything(reader, places)
    assert killed
    refused = [name for name, items in items_by_name.items() if isinstance(items[0], DocumentError)]
    assert len(refused) == 1
    assert "makes the program that reads it fail (SIGSEGV)" in repr(items_by_name[refused[0]])
    assert "pump of c.txt" in repr(items_by_name["c.txt"])


@pytest.mark.skipif("sys.platform == 'darwin'", reason="what a process holds is counted in another way there")
@pytest.mark.usefixtures("at_once")
def test_two_hold_no_more_memory_than_one_may(tmp_path: Path) -> None:
    places = [str(slow(tmp_path / f"{number}.html.gz", 16_000)) for number in range(2)] + [str(text(tmp_path, "c.txt"))]
    with IsolatedReader(bounds=Limits(190 << 20, readers=2)) as reader:
        reader.idle = counting = Counting(reader)
        items_by_name = everything(reader, places)
    assert counting.yielded
    assert all(isinstance(items[0], Document) for items in items_by_name.values())


def test_what_was_begun_goes_on(tmp_path: Path) -> None:
    places = [str(text(tmp_path, f"{number}.txt")) for number in range(3)]
    with IsolatedReader(bounds=PLENTY) as reader:
        reader.begin(places)
        (begun,) = reader._children
        items_by_name = everything(reader, places)
        assert reader._children == [begun]
    assert all(isinstance(items[0], Document) for items in items_by_name.values())
