"""Web pages as they are seen: superscripts, formulas, lists, ruby, and without what is hidden."""

from __future__ import annotations

from pathlib import Path

import pytest

from gemmalocal.documents.html import body
from gemmalocal.documents.read import read
from tests.documents import samples

ARTICLE = "".join(f"<p>Paragraph {n} says that a pump wants oil, and that a dry pump is loud.</p>" for n in range(6))
SUM = (
    "<math><munderover><mo>∑</mo><mrow><mi>i</mi><mo>=</mo><mn>1</mn></mrow><mi>n</mi></munderover><msub><mi>x</mi>"
    "<mi>i</mi></msub></math>"
)


@pytest.mark.parametrize(
    ("page", "read_as"),
    [
        ("in 1702<sup>1</sup> it", "in 1702[1] it"),
        ("in 1702<sup><a href='#1'>[1]</a></sup> it", "in 1702[1] it"),
        ("in <b>1702</b><sup><a href='#1'>1</a></sup>", "in 1702[1]"),
        ("about 10<sup>6</sup> men", "about 10^6 men"),
        ("10<sup>-6</sup> and 2<sup>10</sup>", "10^-6 and 2^10"),
        ("5 km<sup>2</sup>", "5 km^2"),
        ("the word.<sup>12</sup>", "the word.[12]"),
        ("the 2<sup>nd</sup> Acme<sup>TM</sup>", "the 2nd AcmeTM"),
        ("H<sub>2</sub>O and CO<sub>2</sub>", "H2O and CO2"),
        ("x<sub>i</sub> and x<sub>1</sub>", "x_i and x_1"),
        ("<i>x</i><sup>n+1</sup>", "x^(n+1)"),
        ("<ruby>漢字<rp>(</rp><rt>かんじ</rt><rp>)</rp></ruby>を読む", "漢字を読む"),
        ("<ruby><rb>漢</rb><rt>kan</rt></ruby>", "漢"),
        ("<math><mi>E</mi><mo>=</mo><mi>m</mi><msup><mi>c</mi><mn>2</mn></msup></math>", "E=mc^2"),
        ("<math><mfrac><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow><mn>2</mn></mfrac></math>", "(a+b)/2"),
        ("<math><msqrt><mi>x</mi><mo>+</mo><mn>1</mn></msqrt></math>", "√(x+1)"),
        ("<math><mroot><mi>x</mi><mn>3</mn></mroot></math>", "3√(x)"),
        (SUM, "∑_(i=1)^n x_i".replace(" ", "")),
        ("<math><mi>sin</mi><mo>\u2061</mo><mi>x</mi></math>", "sin x"),
        ("<math><mi>sin</mi><mi>x</mi></math>", "sin x"),
        ("<math><mover><mi>x</mi><mo>\u0304</mo></mover></math>", "x\u0304"),
        (
            "<math><mfenced open='[' close=']'><mtable><mtr><mtd><mn>1</mn></mtd><mtd><mn>0</mn></mtd></mtr></mtable>"
            "</mfenced></math>",
            "[[1, 0]]",
        ),
        (
            "<math><semantics><mrow><mi>a</mi></mrow><annotation encoding='application/x-tex'>\\a</annotation>"
            "</semantics></math>",
            "a",
        ),
        ("so <script type='math/tex'>x^2</script> it is", "so x^2 it is"),
        ("<ol start=3><li>three<li><p>four</p></ol>", "3. three\n\n4. four"),
        ("<ol><li value=7>a<li>b</ol>", "7. a\n\n8. b"),
        ("<ol type=i><li>a<li>b</ol><ol type=A><li>c</ol>", "i. a\n\nii. b\n\nA. c"),
        ("<ol reversed><li>a<li>b</ol>", "2. a\n\n1. b"),
        ("<ul><li>a<li>b</ul>", "- a\n\n- b"),
        ("a<span style='font-size:0.8em;opacity:0.5'>b</span>", "ab"),
        ("<p style='color:white;background:#000'>seen</p>", "seen"),
        ("<div style='background:navy'><p style='color:#fff'>seen</p></div>", "seen"),
        ("<style>p{background:red}</style><p style='color:#fff'>seen</p>", "seen"),
    ],
)
def test_text_as_it_is_seen(page: str, read_as: str) -> None:
    content = body(f"<html><body>{page}</body></html>")
    assert "\n\n".join(section.text for section in content.sections) == read_as
    assert not content.warnings


@pytest.mark.parametrize(
    "hidden",
    [
        "<p hidden>secret</p>",
        "<p style='display:none'>secret</p>",
        "<div style='color:red; DISPLAY : none !important'><p>se</p><p hidden>cret</p></div>",
        "<p style='visibility:hidden'>secret</p>",
        "<p style='opacity:0'>secret</p>",
        "<p style='font-size:0px'>secret</p>",
        "<p style='color:white'>secret</p>",
        "<p style='color: rgb(255, 255, 255); background-color: #FFF'>secret</p>",
        "<p style='background:#000'><span style='color:#000'>secret</span></p>",
        "<font color='#ffffff'>secret</font>",
        "<style>.x, .gone { display: none }</style><p class='a gone'>secret</p>",
        "<style>#gone{visibility:hidden}</style><p id='gone'>secret</p>",
        "<dialog>secret</dialog>",
        "<p style='color:transparent'>secret</p>",
    ],
)
def test_hidden_text_is_left_out_and_counted(tmp_path: Path, hidden: str) -> None:
    for name, around in (("small", "<p>seen</p>"), ("article", ARTICLE)):
        file = tmp_path / f"{name}.html"
        file.write_text(f"<html><body><main>{around}{hidden} after</main></body></html>")
        document = read(str(file))
        assert "secret" not in document.text.replace("\n", "")
        assert "after" in document.text
        assert len(document.warnings) == 1
        assert document.warnings[0].startswith("Hidden text was left out: 1 piece, ")


def test_what_is_hidden_on_paper_alone_is_read() -> None:
    page = "<style>@media print { .x { display: none } }</style><p class=x>seen</p>"
    assert body(page).sections[0].text == "seen"


def test_katex_is_read_once() -> None:
    page = (
        "<span class='katex'><span class='katex-mathml'><math><mi>x</mi><mo>+</mo><mn>1</mn></math></span>"
        "<span class='katex-html' aria-hidden='true'><span>x</span><span>+</span><span>1</span></span></span>"
    )
    content = body(page)
    assert content.sections[0].text == "x+1"
    assert not content.warnings


def test_an_article_keeps_its_lists_tables_and_marks(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        f"<html><body><main>{ARTICLE}<p>In 1702<sup>1</sup> it was.</p><ol start=3><li>three</li><li>four</li></ol>"
        "<ul><li>bullet</li></ul><table><tr><th>Part</th><th>Oil</th></tr><tr><td>Valve</td>"
        f"<td>10 l<sup>2</sup></td></tr></table>{ARTICLE}</main></body></html>"
    )
    text = read(str(tmp_path / "a.html")).text
    assert "In 1702[1] it was.\n3. three\n4. four\n- bullet\n" in text
    assert "Valve" in text
    assert "10 l^2" in text


def test_a_book_is_read_as_its_pages_are(tmp_path: Path) -> None:
    page = "<html><body><p>In 1702<sup>1</sup>.</p><p hidden='hidden'>secret</p></body></html>"
    document = read(str(samples.epub(tmp_path / "a.epub", {"a.xhtml": page, "b.xhtml": page})))
    assert document.text == "In 1702[1].\n\nIn 1702[1]."
    assert document.warnings == ("Hidden text was left out of 2 chapters.",)


def test_a_box_beside_the_text_is_read_and_navigation_beside_it_is_not(tmp_path: Path) -> None:
    box = "<div class='sidebar'><p>A caution: whoever oils a hot pump will burn both of the hands, and the oil too.</p>"
    links = "".join(f"<li><a href='/{n}'>Another page of this manual, number {n}</a></li>" for n in range(9))
    (tmp_path / "a.html").write_text(
        f"<html><body><main>{ARTICLE}{box}<p>Wear gloves, or wait until it is cold.</p></div>{ARTICLE}</main>"
        f"<div class='sidebar'><ul>{links}</ul></div></body></html>"
    )
    text = read(str(tmp_path / "a.html")).text
    assert "whoever oils a hot pump" in text
    assert "Another page" not in text
