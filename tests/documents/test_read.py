"""Which files are meant, which reader takes each, and what is said of the others."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gemmalocal.documents import packed, quality
from gemmalocal.documents.document import Document
from gemmalocal.documents.find import find_documents
from gemmalocal.documents.kinds import CODE, READERS
from gemmalocal.documents.read import read, read_each
from gemmalocal.errors import DocumentError
from gemmalocal.records import Rejected
from tests.documents import samples

GERMAN = "Größe und Übermut tun selten gut, die Straße führt über die Brücke nach Süden."


def test_folders_globs_and_files_in_order_and_once(tmp_path: Path) -> None:
    for name in ("b.txt", "a.md", "deep/er/c.pdf", ".hidden", ".git/d.txt", "x.zip"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "deep" / "circle").symlink_to(tmp_path)
    documents = find_documents(
        [str(tmp_path), f"{tmp_path}/*.txt", str(tmp_path / ".hidden"), "nowhere*.md", "youtube:dQw4w9WgXcQ"]
    )
    names = [os.path.relpath(place, tmp_path) for place in documents[:-2]]
    assert names == ["a.md", "b.txt", "deep/er/c.pdf", "x.zip", ".hidden"]
    assert documents[-2:] == ["nowhere*.md", "youtube:dQw4w9WgXcQ"]
    assert find_documents([f"{tmp_path}/**/*.pdf"]) == [f"{tmp_path}/deep/er/c.pdf"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.doc", b"\xd0\xcf\x11\xe0", r"is of an old or closed kind: '\.doc'"),
        ("a.zip", b"PK", r"is of a kind that is not read: '\.zip'"),
        ("a.txt", b"", "is empty"),
        ("b.txt", b" \n\t", "is empty"),
        ("a.html", b"<html><script>x</script>", "is empty"),
        ("a.jsonl", b"[1]\n", "has no row with text"),
    ],
)
def test_what_is_refused_has_its_reason_and_a_remedy(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DocumentError, match=f"{name} {said}") as caught:
        read(str(tmp_path / name))
    assert caught.value.hint or name.endswith((".html", ".jsonl"))


def test_a_library_that_is_missing_is_not_blamed_on_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "a.html"
    page.write_text("<html><body><p>A pump wants oil, and a dry pump is a loud pump.</p></body></html>")
    assert "wants oil" in read(str(page)).text
    monkeypatch.setitem(sys.modules, "trafilatura", None)  # what an import finds that fails
    with pytest.raises(DocumentError, match=r"a\.html cannot be read: a library is missing \(.*trafilatura") as caught:
        read(str(page))
    assert "install gemmalocal again" in caught.value.hint


def test_what_is_not_there(tmp_path: Path) -> None:
    for source in (str(tmp_path / "no.txt"), "x*.txt"):
        with pytest.raises(DocumentError, match="is not there"):
            read(source)


def test_too_large_is_said_before_reading(tmp_path: Path) -> None:
    with (tmp_path / "a.pdf").open("wb") as file:
        file.truncate(packed.LARGEST + 1)
    with pytest.raises(DocumentError, match="is too large: more than 512 MB"):
        read(str(tmp_path / "a.pdf"))
    with (tmp_path / "a.txt").open("wb") as file:
        file.write(b"x")
        file.truncate(100 << 20)
    with pytest.raises(DocumentError, match="is too large: more than 64 MB of text"):
        read(str(tmp_path / "a.txt"))


def test_a_pdf_under_another_name(tmp_path: Path) -> None:
    samples.pdf(tmp_path / "a.txt", [["Hello there"]])
    assert read(str(tmp_path / "a.txt")).text == "Hello there"


@pytest.mark.parametrize(
    "suffix", sorted({*READERS, ".xlsx", ".xls", ".ods", ".jsonl", ".json", ".csv", ".tsv", ".parquet"} - CODE)
)
@pytest.mark.parametrize("content", [b"\x00" * 300, b"PK\x03\x04" + b"\xff" * 300, b"\xff\xfe\x00\xd8", b"{" * 3000])
def test_rubbish_of_every_kind_never_ends_in_a_traceback(tmp_path: Path, suffix: str, content: bytes) -> None:
    (tmp_path / f"a{suffix}").write_bytes(content)
    with suppress(DocumentError):
        assert read(str(tmp_path / f"a{suffix}")).text


def test_rows_are_streamed_whatever_their_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "LARGEST", 10)
    file = rows(tmp_path)
    with pytest.raises(DocumentError, match="is too large"):
        read(str(file))
    assert len(list(read_each(str(file)))) == 3


def rows(tmp_path: Path) -> Path:
    (tmp_path / "a.jsonl").write_text('{"title": "T", "text": "one"}\nbroken\n{"q": "two", "n": 3, "x": null}\n')
    return tmp_path / "a.jsonl"


def test_each_row_is_a_document(tmp_path: Path) -> None:
    first, broken, second = read_each(str(rows(tmp_path)))
    assert isinstance(first, Document)
    assert isinstance(broken, Rejected)
    assert isinstance(second, Document)
    assert (first.source, first.title, first.text) == (f"{tmp_path}/a.jsonl:1", "T", "one")
    assert broken.source == f"{tmp_path}/a.jsonl:2"
    assert second.text == "q: two\nn: 3"


def test_each_row_of_a_hub_dataset_is_a_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    place = tmp_path / "set"
    place.mkdir()
    (place / "train.jsonl").write_text('{"title": "T", "text": "one"}\n{"title": "U", "text": " "}\n')
    (place / "test.jsonl").write_text('{"title": "V", "text": "two"}\n')
    assert find_documents([f"hf:{place}"]) == [f"hf:{place}"]
    first, second = read_each(f"hf:{place}")
    assert isinstance(first, Document)
    assert (first.source, first.title, first.text) == (f"hf:{place}#1", "T", "one")
    assert isinstance(second, Document)  # all its columns are the text then
    (test,) = read_each(f"hf:{place}:test")
    assert isinstance(test, Document)
    assert (test.source, test.text) == (f"hf:{place}:test#1", "two")
    with pytest.raises(DocumentError, match="hf:nobody/nothing-of-that-name cannot be downloaded") as caught:
        list(read_each("hf:nobody/nothing-of-that-name"))
    assert "network" in caught.value.hint


def test_rows_as_one_document(tmp_path: Path) -> None:
    document = read(str(rows(tmp_path)))
    assert [(section.heading, section.text) for section in document.sections] == [("T", "one"), ("", "q: two\nn: 3")]
    assert "1 row was not read" in document.warnings[0]


def test_tables_of_every_kind(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps([{"content": "one"}]))
    (tmp_path / "b.csv").write_bytes(f"text;n\n{GERMAN};1\nzwei;2\n".encode("cp1252"))
    (tmp_path / "c.csv").write_text('"1","a first\nrow without a header"\n"-1","and a second"\n')
    pq.write_table(pa.table({"text": ["seven"]}), tmp_path / "d.parquet")
    texts = {
        Path(place).name: [part.text for part in read(place).sections] for place in find_documents([str(tmp_path)])
    }
    assert texts == {
        "a.json": ["one"],
        "b.csv": [GERMAN, "zwei"],
        "c.csv": ["1\na first\nrow without a header", "-1\nand a second"],
        "d.parquet": ["seven"],
    }


def test_text_that_is_none_is_told() -> None:
    prose = "The quick brown fox jumps over the lazy dog. " * 30
    assert quality.warnings(prose) == ()
    assert quality.warnings(f"{prose * 4} https://example.org/{'path' * 20} Donaudampfschifffahrtsgesellschaft") == ()
    assert "spaces" in quality.warnings(prose.replace(" ", ""))[0]
    assert "encoding" in quality.warnings("Größe und Übermut für alle".encode().decode("latin-1"))[0]
    assert "encoding" in quality.warnings("\ufffd\ue012\ue013 a b c")[0]
    assert "back to front" in quality.warnings("\u05e9\u05dc\u05d5\u05dd"[::-1])[0]
    assert quality.warnings("\u4f60\u597d\u4e16\u754c" * 40) == ()


def test_a_word_of_a_million_letters_is_weighed_at_once() -> None:
    assert quality.lost_spaces("a" * 1_000_000) == 1.0
    assert quality.lost_spaces("_" * 1_000_000) == 0.0
