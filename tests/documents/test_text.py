"""Markdown, text in any encoding, web pages, books."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from gemmalocal.documents import packed
from gemmalocal.documents.read import read
from gemmalocal.documents.text import markdown
from gemmalocal.errors import DocumentError
from tests.documents import samples

GERMAN = "Größe und Übermut tun selten gut; die Straße führt über die Brücke nach Süden. " * 4
RUSSIAN = "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива по-своему. " * 4


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (GERMAN, "utf-8"),
        (GERMAN, "utf-8-sig"),
        (GERMAN, "utf-16"),
        (GERMAN, "utf-32"),
        (GERMAN, "cp1252"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8-r"),
        ("Le phare est bâti sur un rocher à l'entrée du port, été comme hiver.", "cp1252"),
        ("Latarnia morska stoi na skale. Każdego wieczoru latarnik zapala światło, żeby łodzie płynęły.", "cp1250"),
        ("灯台は岩の上に立っています。毎晩、灯台守がランプに火をともし、船の安全を守ります。", "shift_jis"),
        ("灯塔矗立在港口入口处的岩石上。每天晚上，看守人点亮灯，保护船只的安全。", "gb18030"),
        ("등대는 항구 입구의 바위 위에 서 있습니다. 매일 저녁 등대지기가 등불을 켭니다.", "euc-kr"),
    ],
)
def test_text_in_any_encoding(tmp_path: Path, text: str, encoding: str) -> None:
    (tmp_path / "a.txt").write_bytes(text.encode(encoding))
    assert read(str(tmp_path / "a.txt")).text == text.strip()


def test_a_stray_zero_byte_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(GERMAN.encode().replace(b".", b".\x00", 1))
    (tmp_path / "a.csv").write_bytes(b"text\nA row with a zero\x00 in it.\n")
    assert read(str(tmp_path / "a.txt")).text == GERMAN.strip()
    assert read(str(tmp_path / "a.csv")).text == "A row with a zero in it."


def test_bytes_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(bytes(range(256)) * 9)
    with pytest.raises(DocumentError, match="is not text"):
        read(str(tmp_path / "a.txt"))


def test_what_no_reader_sees_is_cleaned(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(
        "The e\ufb03cient of\u00adfice\r\nis\u00a0here\u200b.\x07 2\u00b2 \n\n\n\n\nEnd", newline=""
    )
    assert read(str(tmp_path / "a.txt")).text == "The efficient office\nis here. 2\u00b2\n\nEnd"


def test_markdown_by_its_headings() -> None:
    text = "---\ntitle: x\n---\nBefore.\n# One\na\n```sh\n# no heading\n```\n"
    text += "## Two ##\nb\n\nThree\n=====\nc\n| a | b |\n|---|---|\n"
    content = markdown(text)
    assert content.title == "One"
    assert [(section.heading, section.text.splitlines()[0]) for section in content.sections] == [
        ("", "Before."),
        ("One", "# One"),
        ("One > Two", "## Two ##"),
        ("Three", "Three"),
    ]
    assert "# no heading" in content.sections[1].text
    assert content.sections[3].text.endswith("|---|---|")


ARTICLE = "".join(
    f"<p>Paragraph {n} says that a pump wants oil, and that a dry pump is a loud pump.</p>" for n in range(6)
)
NAVIGATION = "<nav><ul><li><a href='/'>Home page</a></li><li><a href='/shop'>Our shop</a></li></ul></nav>"


def test_a_web_page_without_its_navigation(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        f"<html><head><title>Pumps</title><script>var secret=1</script></head><body>{NAVIGATION}<main>"
        f"<div class='titlepage'><h1 class='title'><a id='x'></a>The Pump</h1></div>{ARTICLE}"
        f"<h2>Oil</h2>{ARTICLE}<table><tr><th>Part</th><th>Oil</th></tr><tr><td>Valve</td><td>SAE 10</td></tr></table>"
        "</main></body></html>"
    )
    document = read(str(tmp_path / "a.html"))
    assert document.title == "Pumps"
    assert [section.heading for section in document.sections] == ["The Pump", "The Pump > Oil"]
    assert "Home page" not in document.text
    assert "secret" not in document.text
    assert "Valve" in document.text
    assert "SAE 10" in document.text


def test_a_small_page_is_read_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "a.htm").write_bytes(
        f"<html><meta charset='iso-8859-1'>{NAVIGATION}<h1>Oil</h1><div>Größe<br>is <b>here</b></div>"
        "<table><tr><td>a <i>b</i><td>c</table><pre>x\n  y</pre>loose</html>".encode("latin-1")
    )
    document = read(str(tmp_path / "a.htm"))
    assert document.sections[0].heading == "Oil"
    assert document.text == "Oil\n\nGröße\nis here\n\na b | c\n\nx\n  y\n\nloose"


def test_a_page_nested_without_end(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("<div><span>" * 20_000 + "deep")
    with pytest.raises(DocumentError):
        read(str(tmp_path / "a.html"))
    (tmp_path / "b.html").write_text("<p>fine</p>" + "<div>" * 300 + "deep")
    assert read(str(tmp_path / "b.html")).text == "fine\n\ndeep"


def test_a_book_in_its_reading_order(tmp_path: Path) -> None:
    chapters = {"z one.xhtml": "<h1>One</h1><p>The first.</p>", "a.xhtml": "<h1>Two</h1><p>The second.</p>"}
    pages = {name.replace(" ", "%20"): f"<html><body>{page}</body></html>" for name, page in chapters.items()}
    plain = {name.replace("%20", ""): page for name, page in pages.items()}
    document = read(str(samples.epub(tmp_path / "a.epub", plain)))
    assert document.title == "A Book"
    assert [(section.heading, section.text) for section in document.sections] == [
        ("One", "One\n\nThe first."),
        ("Two", "Two\n\nThe second."),
    ]
    with pytest.raises(DocumentError, match="is encrypted \\(DRM\\)"):
        read(str(samples.epub(tmp_path / "b.epub", plain, locked=True)))


def test_gz_around_any_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.md.gz").write_bytes(gzip.compress(b"# One\ntext"))
    document = read(str(tmp_path / "a.md.gz"))
    assert (document.source, document.sections[0].heading) == (str(tmp_path / "a.md.gz"), "One")
    (tmp_path / "cut.txt.gz").write_bytes(gzip.compress(b"text" * 99)[:-9])
    with pytest.raises(DocumentError, match=r"cut.txt.gz is damaged"):
        read(str(tmp_path / "cut.txt.gz"))
    monkeypatch.setattr(packed, "LARGEST", 1 << 16)
    (tmp_path / "bomb.txt.gz").write_bytes(gzip.compress(bytes(1 << 20)))
    with pytest.raises(DocumentError, match="is too large.*unpacked"):
        read(str(tmp_path / "bomb.txt.gz"))
