"""The Modelfile's template, parsed and filled in by Go's own text/template, against the model's own template."""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from gemmalocal.data.findings import Findings
from gemmalocal.data.layout import Layout
from gemmalocal.data.remarks import Remarks
from gemmalocal.data.row_formats import RowFormats
from gemmalocal.data.tokenizer import TURNS, Tokenizer
from gemmalocal.errors import ModelError
from gemmalocal.export import ollama, ollama_tools
from gemmalocal.planning.published import APACHE, GEMMA_TERMS, Licence, licence
from gemmalocal.records import Message
from tests.export import gemma_templates
from tests.tool_calls import draw, templates

CHAT = Layout("chat")
GO = shutil.which("tmpl")
go = pytest.mark.skipif(
    GO is None and "CI" not in os.environ, reason="Go's templates need tmpl: apt-get install tmpl (Debian, Ubuntu)"
)
ODD = (
    "Why?",
    "Ünïcödé, 日本語, 🦙, e\u0301, \u2028 and \u200d",
    "{{ .Prompt }} and {% raw %} and {{- end -}} and }}",
    'She said """no""", \'yes\' and `maybe` \\ \\n',
    "one\ntwo\n\n\tthree\r\nfour",
    "<b>&amp; 5 < 6</b> %s %d $1 ${HOME}",
)
SYSTEMS = ("", "Be brief.", 'Say {{ "x" }}.\n"""\nOnly that.')
CONVERSATIONS = [
    [
        *([Message("system", system)] if system else []),
        *(Message("user" if n % 2 == 0 else "assistant", ODD[(first + n) % len(ODD)]) for n in range(2 * turns - 1)),
    ]
    for system, turns, first in itertools.product(SYSTEMS, (1, 2, 3, 5), (0, 2, 4))
]


def speaking(tiny: Path, folder: Path, template: str, thinking: bool = False) -> Tokenizer:
    """The tiny Gemma's tokenizer with a chat template; with none if that is empty."""
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        if (tiny / name).is_file():
            shutil.copyfile(tiny / name, folder / name)
    if template:
        (folder / "chat_template.jinja").write_text(template)
    return Tokenizer(folder, thinking)


def filled(template: str, messages: Sequence[Message], folder: Path) -> str:
    """What Go makes of a template as Ollama fills it: with all messages, and their systems' texts as well."""
    said = [{"Role": message.role, "Content": message.content} for message in messages]
    system = "\n\n".join(message.content for message in messages if message.role == "system")
    (folder / "data.json").write_text(json.dumps({"System": system, "Messages": said, "Response": ""}))
    (folder / "out.tmpl").write_bytes(template.encode())
    subprocess.run([str(GO), "-data", "@data.json", "out.tmpl"], cwd=folder, check=True)
    return (folder / "out").read_bytes().decode()


def read_back(modelfile: str) -> str:
    """The template in a Modelfile, as Ollama finds it: up to the next three quotes."""
    return modelfile.partition('TEMPLATE """')[2].partition('"""')[0]


@go
@pytest.mark.parametrize("thinking", [False, True])
@pytest.mark.parametrize("own", gemma_templates.ALL.values(), ids=gemma_templates.ALL)
def test_go_says_what_the_models_own_template_says(own: str, thinking: bool, tiny: Path, tmp_path: Path) -> None:
    assert len(CONVERSATIONS) >= 30
    tokenizer = speaking(tiny, tmp_path, own, thinking)
    written = ollama.modelfile("./x.gguf", ollama.template(tokenizer, CHAT), tokenizer, GEMMA_TERMS, {})
    template = read_back(written)
    assert template == ollama.template(tokenizer, CHAT)
    for messages in CONVERSATIONS:
        wanted = tokenizer.render(messages, ask=True)
        assert tokenizer.bos + filled(template, messages, tmp_path) == wanted  # llama.cpp puts <bos> there


@go
def test_an_empty_systems_text_is_none_and_a_reply_may_be_gone_on_with(tiny: Path, tmp_path: Path) -> None:
    tokenizer = speaking(tiny, tmp_path, gemma_templates.GEMMA4)
    template, asked = ollama.template(tokenizer, CHAT), Message("user", "Why?")
    assert filled(template, [Message("system", ""), asked], tmp_path) == filled(template, [asked], tmp_path)
    begun = filled(template, [asked, Message("assistant", "Because")], tmp_path)
    assert begun == "<|turn>user\nWhy?<turn|>\n<|turn>model\nBecause"


@go
@pytest.mark.parametrize("own", [gemma_templates.GEMMA2, TURNS], ids=["gemma2", "turns"])
def test_go_writes_the_plain_layout_of_tools(own: str, tiny: Path, tmp_path: Path) -> None:
    tokenizer = speaking(tiny, tmp_path, own)
    written = ollama_tools.template(ollama.turn_marks(tokenizer), tokenizer.folds_system)
    template = read_back(ollama.modelfile("x", written, tokenizer, GEMMA_TERMS, {}))
    row = draw.dialogue(random.Random(3), objects=False)
    record = RowFormats("auto", None, False, Remarks(Findings()))("x", row)
    functions = [{"Function": json.dumps(tool["function"], ensure_ascii=False)} for tool in json.loads(record.tools)]
    for end in (place for place, turn in enumerate(record.messages, 1) if turn.role in ("user", "tool")):
        if end < len(record.messages) and record.messages[end].role == "tool":
            continue
        said = [
            {"Role": turn.role, "Content": turn.content, "ToolCalls": [
                {"Function": {"Name": call.name, "Arguments": call.arguments}} for call in turn.calls]}
            for turn in record.messages[:end]
        ]  # fmt: skip
        (tmp_path / "data.json").write_text(json.dumps({"Messages": said, "Tools": functions}))
        (tmp_path / "out.tmpl").write_bytes(template.encode())
        subprocess.run([str(GO), "-data", "@data.json", "out.tmpl"], cwd=tmp_path, check=True)
        wanted = tokenizer.render(record.messages[:end], True, record.tools)
        assert tokenizer.bos + (tmp_path / "out").read_bytes().decode() == wanted


def test_models_with_a_grammar_have_ollamas_own_renderer(tiny: Path, tmp_path: Path) -> None:
    tokenizer = speaking(tiny, tmp_path, templates.FUNCTION_GEMMA)
    named = ollama_tools.renderer(tokenizer, Layout("chat", tools=True))
    written = ollama.modelfile("x", "{{ .Prompt }}", tokenizer, GEMMA_TERMS, {}, renderer=named)
    assert "RENDERER functiongemma\nPARSER functiongemma\n" in written
    assert ollama_tools.renderer(tokenizer, Layout("chat")) == ""


MARKS = ('"""', "{{ .System }}", "{{- end -}}", "}}", '"', "\\", "`", "\\n", "é🦙", "{% endraw %}")


@go
@pytest.mark.parametrize("mark", MARKS)
def test_no_mark_is_taken_for_an_action_or_ends_the_quotes(mark: str, tiny: Path, tmp_path: Path) -> None:
    own = TURNS.replace("<start_of_turn>", "{{ mark }}").replace("<end_of_turn>", "{{ mark }}")
    tokenizer = speaking(tiny, tmp_path, "{% set mark = " + json.dumps(mark, ensure_ascii=False) + " %}" + own)
    template = read_back(ollama.modelfile("./x", ollama.template(tokenizer, CHAT), tokenizer, GEMMA_TERMS, {}))
    messages = [Message("system", "s"), Message("user", "a"), Message("assistant", "b"), Message("user", "c")]
    assert mark + "user\ns" in tokenizer.render(messages, ask=True)
    assert tokenizer.bos + filled(template, messages, tmp_path) == tokenizer.render(messages, ask=True)


@go
@pytest.mark.parametrize("between", ["", "\n", '\n"""{{ end }}'])
def test_of_a_model_of_plain_text_each_prompt_stands_alone(between: str, tiny: Path, tmp_path: Path) -> None:
    template = ollama.template(speaking(tiny, tmp_path, ""), Layout("prompt", between))
    assert '"""' not in template
    assert filled(template, [Message("user", "Quote: {{")], tmp_path) == "Quote: {{" + between
    talk = [Message("system", "s"), Message("user", "a"), Message("assistant", "b"), Message("user", "c")]
    assert filled(template, talk, tmp_path) == "s\n\nc" + between


UNSAYABLE = {
    "numbered turns": "{% for m in messages %}<{{ loop.index }}>{{ m.content }}{% endfor %}",
    "only the last turn": "<q>{{ messages[-1].content }}",
    "letters changed": "{% for m in messages %}<q>{{ m.content | replace(m.content, '!') }}{% endfor %}",
    "no answers": "{% for m in messages %}{% if m.role == 'assistant' %}{{ raise_exception('no') }}{% endif %}<q>"
    "{{ m.content }}{% endfor %}",
}


@pytest.mark.parametrize("own", UNSAYABLE.values(), ids=UNSAYABLE)
def test_a_template_that_gos_cannot_follow_is_refused(own: str, tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be written in Ollama's language"):
        ollama.template(speaking(tiny, tmp_path, own), CHAT)


@pytest.mark.parametrize(("model_type", "known"), [("gemma3_text", GEMMA_TERMS), ("gemma4_text", APACHE)])
def test_the_licence_is_the_bases(model_type: str, known: object, tiny: Path, tmp_path: Path) -> None:
    found = licence(model_type)
    assert found is known
    written = ollama.modelfile(
        "./x.gguf", "{{ .Prompt }}", speaking(tiny, tmp_path, TURNS), found, {"temperature": 0.7}
    )
    assert written.startswith("FROM ./x.gguf\n")
    assert 'PARAMETER stop "<end_of_turn>"\n' in written
    assert 'PARAMETER stop "<eos>"\n' in written
    assert f'LICENSE """{found.notice}"""' in written


@pytest.mark.parametrize("text", ['a """ b', 'a "quoted"'])
def test_what_would_end_the_modelfiles_quotes_is_refused(text: str, tiny: Path, tmp_path: Path) -> None:
    tokenizer = speaking(tiny, tmp_path, TURNS)
    with pytest.raises(ModelError, match="cannot quote"):
        ollama.modelfile("./x.gguf", text, tokenizer, GEMMA_TERMS, {})
    with pytest.raises(ModelError, match="cannot quote"):
        ollama.modelfile("./x.gguf", "{{ .Prompt }}", tokenizer, Licence("x", "x", text), {})
