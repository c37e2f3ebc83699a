"""What becomes of sources on their way into a dataset: passwords, copies, rows of tables, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gemmalocal.jobs import processes
from gemmalocal.pipelines.shared.passages import NAMED, TOLD_WARNINGS
from gemmalocal.pipelines.shared.prepare_report import LISTED
from gemmalocal.recipe.prepare_schema import Preparation
from gemmalocal.records import HELD_OUT_FILE, TRAIN_FILE
from gemmalocal.workspace import datasets
from tests.children import until, until_ended
from tests.documents import samples
from tests.here import run
from tests.pipelines.preparations import LIGHT, documents, of_files, prepared, told

PARTS = ("wheel", "valve", "lever", "bolt", "gasket", "flange", "spring", "handle", "axle", "chain", "screw", "nozzle")
RULES = ("--author", "rules", "--json")
__all__ = ["documents"]  # a fixture


def test_a_password_opens_what_is_encrypted_and_is_not_written_down(
    documents: Path, tiny: Path, workspace: Path
) -> None:
    lines = LIGHT.replace("# ", "").replace("\n\n", "\n").splitlines()
    samples.pdf(documents / "plain.pdf", [lines])
    samples.with_outline(documents / "plain.pdf", [("The lamp", 0, 0)], password="open-sesame")
    shut = told(prepared(documents, tiny, "shut", *RULES))
    assert [Path(item["source"]).name for item in shut["refused"]] == ["plain.pdf"]
    assert "--password" in shut["refused"][0]["reason"]
    (documents / "light.md").unlink()
    opened = told(prepared(documents, tiny, "opened", *RULES, "--password", "open-sesame"))
    assert (opened["documents"], opened["refused_sources"]) == (2, 0)
    for file in workspace.rglob("*"):
        assert not file.is_file() or b"open-sesame" not in file.read_bytes(), f"{file} holds the password"


def test_passages_that_nearly_repeat_are_left_out(documents: Path, tiny: Path, workspace: Path) -> None:
    alone = told(prepared(documents, tiny, "alone", *RULES))
    lamp = LIGHT.partition("# The keepers")[0]
    (documents / "of light.txt").write_text(lamp.replace("six wicks", "SEVEN wicks"))
    (documents / "the same.md").write_text(LIGHT)
    both = told(prepared(documents, tiny, "both", *RULES))
    assert (both["documents"], both["near_copies"], both["same_documents"]) == (3, 1, 1)
    assert both["passages"] == alone["passages"]


def test_a_file_says_what_is_wanted_and_options_go_before_it(documents: Path, tiny: Path, workspace: Path) -> None:
    file = documents.parent / "kept.yaml"
    file.write_text(f"sources: [{documents.name}]\nmodel: {tiny}\nauthor: rules\npairs: 1\npassage_tokens: 400\n")
    first = told(run("prepare", str(file), "--json"))
    assert first["train"]["rows"] + first["held_out"]["rows"] == first["passages"] == 5
    more = told(run("prepare", str(file), "--to", "more", "--pairs", "3", "--json"))
    assert more["passages"] == 5 < more["train"]["rows"] + more["held_out"]["rows"]
    names = {folder.name for folder in (workspace / "datasets").iterdir()}
    assert names == {"kept", "more"}
    unnamed = run("prepare", str(documents))
    assert (unnamed.returncode, "Name the dataset" in unnamed.stderr) == (2, True)
    file.write_text("sources: []\npears: 1\n")
    wrong = run("prepare", str(file))
    assert wrong.returncode == 2
    assert f"{file}:2: pears" in wrong.stderr


def test_each_row_of_a_table_is_a_document(documents: Path, tiny: Path, workspace: Path) -> None:
    rows = [{"title": part.partition("\n")[0], "text": part.partition("\n\n")[2]} for part in LIGHT.split("# ")[1:]]
    (documents / "light.md").unlink()
    (documents / "rows.jsonl").write_text("\n".join([*map(json.dumps, rows), "{"]))
    report = told(prepared(documents, tiny, "d", *RULES))
    assert report["documents"] == 4
    assert [Path(item["source"]).name for item in report["refused"]] == ["rows.jsonl:4"]
    files = of_files(workspace / "datasets" / "d")
    sources = {Path(row["source"]).name for row in files[TRAIN_FILE] + files[HELD_OUT_FILE]}
    assert {"rows.jsonl:1", "rows.jsonl:2", "rows.jsonl:3"} <= sources
    assert told(prepared(documents, tiny, "two", *RULES, "--max-documents", "2"))["documents"] == 2


def test_rows_of_one_table_are_weighed_together(documents: Path, tiny: Path, workspace: Path) -> None:
    rows = [{"text": f"The {thing} of the pump is made of brass and {thing}s wear out."} for thing in PARTS]
    (documents / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    report = told(prepared(documents, tiny, "d", *RULES, "--balance", "1"))
    assert report["documents"] == 2 + len(rows)
    rejected = of_files(workspace / "datasets" / "d")[datasets.REJECTED]
    loud = [row for row in rejected if row["reason"].startswith("is beyond its file's share")]
    assert loud
    assert {Path(row["source"]).name.partition(":")[0] for row in loud} == {"rows.jsonl"}


def test_killed_while_it_reads_and_started_again_is_the_same_dataset(
    documents: Path, tiny: Path, workspace: Path
) -> None:
    for number in range(400):
        (documents / f"{number:03}.txt").write_text(f"The pump of house {number} has {number * 7} valves of brass.\n")
    detached = prepared(documents, tiny, "killed", "--author", "rules", "--detach")
    job = processes.Job(Path(detached.stdout.strip()))
    until(lambda: any(json.loads(line)["event"] == "read" for line in job.lines()), job)
    job.kill()
    until_ended(job)
    assert run("resume", "killed").returncode == 0
    told(prepared(documents, tiny, "whole", *RULES))
    assert of_files(job.directory) == of_files(workspace / "datasets" / "whole")


def test_all_warnings_are_counted_and_in_a_file(documents: Path, tiny: Path, workspace: Path) -> None:
    count = LISTED + 5
    torn = [
        json.dumps({"text": f"The {n} p\ufffdmp of brass w\ufffdnts \ufffdil in the spring."}) for n in range(count)
    ]
    (documents / "torn.jsonl").write_text("\n".join(torn))
    done = prepared(documents, tiny, "d", *RULES)
    report = told(done)
    assert (report["warned"], len(report["warnings"])) == (count, LISTED)
    assert len(datasets.read(workspace / "datasets" / "d" / datasets.WARNINGS)) == count
    events = [json.loads(line) for line in done.stdout.splitlines()]
    notices = [event["text"] for event in events if event["event"] == "notice"]
    assert f"{count - NAMED} more warnings, see {datasets.WARNINGS}" in notices
    (read,) = [event for event in events if event["event"] == "read" and event["source"].endswith("torn.jsonl")]
    assert read["warnings"][-1] == f"{count - TOLD_WARNINGS} more warnings."


def test_what_gives_no_row_is_counted_with_the_reason(documents: Path, tiny: Path) -> None:
    (documents / "table.md").write_text("| a | b |\n|---|---|\n| c | d |\n")
    report = told(prepared(documents, tiny, "d", *RULES))
    ((reason, count),) = report["without_rows"].items()
    assert (count, "no whole sentence" in reason) == (1, True)


def test_all_that_was_refused_is_in_a_file_even_if_nothing_else_came_of_it(
    documents: Path, tiny: Path, workspace: Path
) -> None:
    count = LISTED + 5
    (documents / "broken.jsonl").write_text("{\n" * count)
    report = told(prepared(documents, tiny, "d", *RULES))
    assert (report["refused_sources"], len(report["refused"])) == (count, LISTED)
    refused = datasets.read(workspace / "datasets" / "d" / datasets.REFUSED)
    assert refused[:LISTED] == report["refused"]
    assert [Path(item["source"]).name for item in refused][-1] == f"broken.jsonl:{count}"
    for name in ("light.md", "bees.md"):
        (documents / name).unlink()
    nothing = prepared(documents, tiny, "e", *RULES)
    assert nothing.returncode == 2
    assert datasets.REFUSED in nothing.stdout
    assert len(datasets.read(workspace / "datasets" / "e" / datasets.REFUSED)) == count


@pytest.mark.skipif("sys.platform == 'darwin'", reason="file names are Unicode there")
def test_a_name_that_is_no_text_does_not_stop_the_others(documents: Path, tiny: Path, workspace: Path) -> None:
    for name, content in ((b"caf\xe9.md", LIGHT), (b"\xff.xyz", "x")):
        (Path(str(documents)) / name.decode("utf-8", "surrogateescape")).write_text(content)
    (documents / "light.md").unlink()
    report = told(prepared(documents, tiny, "d", *RULES))
    assert report["documents"] == 2
    files = of_files(workspace / "datasets" / "d")
    assert {Path(row["source"]).name for row in files[TRAIN_FILE] + files[HELD_OUT_FILE]} == {
        "bees.md",
        "caf\ufffd.md",
    }


def test_a_files_share_is_of_what_is_written_not_of_plain_text() -> None:
    assert Preparation.model_validate({"sources": ["x"]}).balance == 5
    assert Preparation.model_validate({"sources": ["x"], "task": "text"}).balance is None
    assert Preparation.model_validate({"sources": ["x"], "task": "text", "balance": 2}).balance == 2
