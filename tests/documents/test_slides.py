"""PowerPoint: boxes by their place, diagrams, formulas, numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pptx
import pytest
from pptx.chart.data import CategoryChartData, XyChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.opc.constants import RELATIONSHIP_TYPE
from pptx.opc.package import Part
from pptx.opc.packuri import PackURI
from pptx.oxml import parse_xml
from pptx.util import Inches

from gemmalocal.documents import charts
from gemmalocal.documents.read import read

NAMES = (
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
    'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships" '
    'xmlns:dgm="http://schemas.openxmlformats.org/drawingml/2006/diagram" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
    'xmlns:a14="http://schemas.microsoft.com/office/drawing/2010/main" '
    'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'
)


def blank() -> tuple[Any, Any]:
    deck = pptx.Presentation()
    return deck, deck.slides.add_slide(deck.slide_layouts[6])


def text_of(deck: Any, path: Path) -> str:
    deck.save(str(path / "a.pptx"))
    return read(str(path / "a.pptx")).text


@pytest.mark.parametrize(
    ("boxes", "order"),
    [
        ([(1, 4, "foot"), (1, 1, "head"), (1, 2.5, "middle")], "head middle foot"),
        ([(5, 1, "right"), (1, 1, "left")], "left right"),
        ([(5, 3, "d"), (1, 3, "c"), (5, 1, "b"), (1, 1, "a")], "a b c d"),  # a grid
        ([(6, 1, "R1"), (6, 2, "R2"), (1, 1, "L1"), (1, 2, "L2")], "L1 L2 R1 R2"),  # columns, for they stand closer
        ([(6, 2.2, "R"), (1, 3.5, "L2"), (1, 2, "L1"), (1, 0.5, "top")], "top L1 L2 R"),
    ],
)
def test_boxes_are_read_by_their_place(tmp_path: Path, boxes: list[tuple[float, float, str]], order: str) -> None:
    deck, slide = blank()
    for left, top, text in boxes:
        slide.shapes.add_textbox(Inches(left), Inches(top), Inches(2.5), Inches(0.9)).text_frame.text = text
    assert text_of(deck, tmp_path).split() == order.split()


def test_groups_are_read_together(tmp_path: Path) -> None:
    deck, slide = blank()
    slide.shapes.add_textbox(Inches(1), Inches(5), Inches(2), Inches(1)).text_frame.text = "last"
    group = slide.shapes.add_group_shape()
    for top, text in ((3, "second"), (1, "first")):
        group.shapes.add_textbox(Inches(1), Inches(top), Inches(2), Inches(1)).text_frame.text = text
    assert text_of(deck, tmp_path).split() == ["first", "second", "last"]


def test_smart_art_is_read(tmp_path: Path) -> None:
    deck, slide = blank()
    points = "".join(
        f"<dgm:pt modelId='{n}'><dgm:t><a:p><a:r><a:t>{text}</a:t></a:r></a:p></dgm:t></dgm:pt>"
        for n, text in ((3, "Oil"), (1, "Care"), (2, "Faults"))
    )
    links = "".join(
        f"<dgm:cxn modelId='{10 + n}' srcId='{above}' destId='{below}' srcOrd='{order}'/>"
        for n, (above, below, order) in enumerate(((0, 2, 1), (0, 1, 0), (1, 3, 0)))
    )
    data = (
        f"<dgm:dataModel {NAMES}><dgm:ptLst><dgm:pt modelId='0' type='doc'/>{points}</dgm:ptLst>"
        f"<dgm:cxnLst>{links}</dgm:cxnLst></dgm:dataModel>"
    )
    kind = "application/vnd.openxmlformats-officedocument.drawingml.diagramData+xml"
    part = Part(PackURI("/ppt/diagrams/data1.xml"), kind, deck.part.package, data.encode())
    relation = slide.part.relate_to(part, RELATIONSHIP_TYPE.DIAGRAM_DATA)
    slide.shapes._spTree.append(
        parse_xml(
            f"<p:graphicFrame {NAMES}><p:nvGraphicFramePr><p:cNvPr id='9' name='d'/><p:cNvGraphicFramePr/><p:nvPr/>"
            "</p:nvGraphicFramePr><p:xfrm><a:off x='0' y='0'/><a:ext cx='9' cy='9'/></p:xfrm><a:graphic><a:graphicData "
            f"uri='http://schemas.openxmlformats.org/drawingml/2006/diagram'><dgm:relIds r:dm='{relation}'/>"
            "</a:graphicData></a:graphic></p:graphicFrame>"
        )
    )
    assert text_of(deck, tmp_path) == "Care\n  Oil\nFaults"


def paragraphs(xml: str) -> str:
    return (
        f"<p:sp {NAMES}><p:nvSpPr><p:cNvPr id='7' name='x'/><p:cNvSpPr txBox='1'/><p:nvPr/></p:nvSpPr><p:spPr><a:xfrm>"
        f"<a:off x='0' y='0'/><a:ext cx='9' cy='9'/></a:xfrm></p:spPr><p:txBody><a:bodyPr/>{xml}</p:txBody></p:sp>"
    )


def run(text: str, baseline: int | None = None) -> str:
    look = "" if baseline is None else f" baseline='{baseline}'"
    return f"<a:r><a:rPr{look}/><a:t>{text}</a:t></a:r>"


SQUARE = "<m:oMath><m:sSup><m:e><m:r><m:t>c</m:t></m:r></m:e><m:sup><m:r><m:t>2</m:t></m:r></m:sup></m:sSup></m:oMath>"
FIRST = "<a:pPr><a:buAutoNum type='arabicPeriod'/></a:pPr>"
LETTER = "<a:pPr lvl='1'><a:buAutoNum type='alphaLcParenR' startAt='3'/></a:pPr>"


@pytest.mark.parametrize(
    ("xml", "read_as"),
    [
        (f"<a:p>{run('in 1702')}{run('1', 30000)}{run(' it')}</a:p>", "in 1702[1] it"),
        (f"<a:p>{run('10')}{run('6', 30000)}</a:p>", "10^6"),
        (f"<a:p>{run('H')}{run('2', -25000)}{run('O')}</a:p>", "H2O"),
        (f"<a:p>{run('plain', 0)}<a:br/>{run('next')}</a:p>", "plain\nnext"),
        (f"<a:p>{run('E=m')}<a14:m>{SQUARE}</a14:m></a:p>", "E=mc^2"),
        (
            f"<a:p>{run('E=m')}<mc:AlternateContent><mc:Choice Requires='a14'><a14:m>{SQUARE}</a14:m></mc:Choice>"
            f"<mc:Fallback>{run('a picture')}</mc:Fallback></mc:AlternateContent></a:p>",
            "E=mc^2",
        ),
        (
            f"<a:p>{FIRST}{run('a')}</a:p><a:p>{LETTER}{run('b')}</a:p><a:p>{FIRST}{run('c')}</a:p>",
            "1. a\n  c) b\n2. c",
        ),
    ],
)
def test_paragraphs_as_they_are_seen(tmp_path: Path, xml: str, read_as: str) -> None:
    deck, slide = blank()
    slide.shapes._spTree.append(parse_xml(paragraphs(xml)))
    assert text_of(deck, tmp_path) == read_as


def test_a_box_with_a_formula_is_read_once(tmp_path: Path) -> None:
    deck, slide = blank()
    box = paragraphs(f"<a:p><a14:m>{SQUARE}</a14:m></a:p>")
    picture = paragraphs(f"<a:p>{run('a picture of it')}</a:p>")
    slide.shapes._spTree.append(
        parse_xml(
            f"<mc:AlternateContent {NAMES}><mc:Choice Requires='a14'>{box}</mc:Choice><mc:Fallback>"
            f"{picture}</mc:Fallback></mc:AlternateContent>"
        )
    )
    assert text_of(deck, tmp_path) == "c^2"


def test_charts_of_every_kind_are_read(tmp_path: Path) -> None:
    deck, slide = blank()
    figures = CategoryChartData()
    figures.categories = ["North", "South"]
    figures.add_series("Pumps", (3, None))
    figures.add_series("Valves", (4.5, 1))
    frame = slide.shapes.add_chart(XL_CHART_TYPE.AREA, 0, 0, Inches(2), Inches(2), figures)
    area = next(frame.chart_part._element.iter(f"{charts.C}areaChart"))
    area.tag = f"{charts.C}area3DChart"  # one that python-pptx does not know
    points = XyChartData()
    points.add_series("Curve").add_data_point(1, 2.5)
    slide.shapes.add_chart(XL_CHART_TYPE.XY_SCATTER, 0, Inches(4), Inches(2), Inches(2), points)
    text = text_of(deck, tmp_path)
    assert text == " | Pumps | Valves\nNorth | 3 | 4.5\nSouth |  | 1\n\n | Curve\n1 | 2.5".strip()


def test_a_hidden_box_is_left_out_and_counted(tmp_path: Path) -> None:
    deck, slide = blank()
    for text in ("seen", "secret"):
        slide.shapes.add_textbox(0, 0, 99, 99).text_frame.text = text
    slide.shapes[1]._element.nvSpPr.cNvPr.set("hidden", "1")
    deck.save(str(tmp_path / "a.pptx"))
    document = read(str(tmp_path / "a.pptx"))
    assert document.text == "seen"
    assert document.warnings == ("Hidden text was left out: 1 piece, 6 characters.",)
