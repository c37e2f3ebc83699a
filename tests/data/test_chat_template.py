"""Chat templates as transformers reads them, and what is said of those that cannot be used."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from gemmalocal.backends.transformers_import import without_torch
from gemmalocal.data.chat_template import ChatTemplate, chosen
from gemmalocal.data.tokenizer import TURNS, TemplateRefused, Tokenizer
from gemmalocal.errors import ModelError, RecipeError
from gemmalocal.records import Message
from tests.export import gemma_templates

with without_torch():
    from transformers import AutoTokenizer

ASKED = [Message("user", "a <b> & 'c'"), Message("assistant", "d"), Message("user", "é\n{{ x }}")]
LED = [Message("system", "Be\nbrief."), *ASKED]
TALKS = (ASKED, ASKED[:2], LED, ASKED[:1])
SAY = "{% for m in messages %}{{ m.role }}:{{ m.content }};{% endfor %}"
FEATURES = {
    **gemma_templates.ALL,
    "generation": "{{ bos_token }}{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}\n"
    "{% set x = m.content %}{{ x }}{{ eos_token }}{% endgeneration %}{{ x }}{% else %}"
    "{{ m.content }}\n{% endif %}{% endfor %}",
    "loop controls": "{% for m in messages %}{% if loop.index0 == 1 %}{% continue %}{% endif %}{{ m.content }}"
    "{% if loop.last %}{% break %}{% endif %}{% endfor %}",
    "tojson": "{{ messages | tojson }}{{ messages | tojson(indent=2) }}{{ messages[0] | tojson(sort_keys=true) }}",
    "today": "{{ strftime_now('%Y-%m-%d %j') }}" + SAY,
    "what is not given": "{{ tools is none }}{{ documents is none }}{{ xtc is defined }}{{ unk_token }}{{ pad_token }}"
    "{{ add_generation_prompt }}" + SAY,
    "white space": "  {% for m in messages %}  \n    {{- m.content -}}\n  {# no #}\n  {% endfor %}\n",
    "namespace": "{% set n = namespace(k=0) %}{% for m in messages %}{% set n.k = n.k + 1 %}{% endfor %}{{ n.k }}"
    + SAY,
    "macro": "{% macro say(x, y='!') %}{{ x ~ y }}{% endmacro %}"
    "{% for m in messages %}{{ say(m.content) }}{% endfor %}",
    "methods": "{% for m in messages %}{{ m['content'].split('\n') | join('|') }}{{ m.get('name', '-') }}"
    "{{ m.content.strip().startswith('a') }}{% endfor %}",
    "chatml": "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
}


def model(tiny: Path, folder: Path, **config: object) -> Path:
    """A copy of the tiny Gemma's tokenizer whose configuration says more."""
    folder.mkdir(exist_ok=True)
    shutil.copyfile(tiny / "tokenizer.json", folder / "tokenizer.json")
    shutil.copyfile(tiny / "config.json", folder / "config.json")
    own = json.loads((tiny / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**own, **config}))
    return folder


def theirs(folder: Path, messages: Sequence[Message], ask: bool) -> str:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    said = [{"role": message.role, "content": message.content} for message in messages]
    return str(tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=ask))


@pytest.mark.parametrize("template", FEATURES.values(), ids=FEATURES)
def test_a_template_says_what_it_says_in_transformers(template: str, tiny: Path, tmp_path: Path) -> None:
    folder = model(tiny, tmp_path / "m", chat_template=template)
    tokenizer = Tokenizer(folder)
    for talk in TALKS:
        if tokenizer.folds_system and talk[0].role == "system":
            continue  # transformers refuses it, or leaves it out
        for ask in (True, False):
            assert tokenizer.render(talk, ask) == theirs(folder, talk, ask)


WHERE: dict[str, tuple[object, dict[str, str]]] = {
    "a list": ([{"name": "tool_use", "template": "no"}, {"name": "default", "template": SAY}], {}),
    "a file of its own": ("no", {"chat_template.jinja": SAY}),
    "beside a list": ([{"name": "default", "template": "no"}], {"chat_template.jinja": SAY}),
    "with more": (None, {"chat_template.jinja": SAY, "additional_chat_templates/tool_use.jinja": "no"}),
    "among more": (None, {"additional_chat_templates/default.jinja": SAY, "additional_chat_templates/rag.jinja": "no"}),
}


@pytest.mark.parametrize(("config", "files"), WHERE.values(), ids=WHERE)
def test_a_template_is_found_where_transformers_finds_it(
    config: object, files: dict[str, str], tiny: Path, tmp_path: Path
) -> None:
    folder = model(tiny, tmp_path / "m", **({"chat_template": config} if config else {}))
    (folder / "additional_chat_templates").mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    assert (
        Tokenizer(folder).render(ASKED, True)
        == theirs(folder, ASKED, True)
        == "".join(f"{message.role}:{message.content};" for message in ASKED)
    )


def test_a_processors_old_file_is_read_last(tiny: Path, tmp_path: Path) -> None:
    folder = model(tiny, tmp_path / "m")
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": SAY}))
    assert Tokenizer(folder).has_template
    (folder / "chat_template.jinja").write_text("x")
    assert Tokenizer(folder).render(ASKED, True) == "x"


def test_several_without_a_default_are_named(tiny: Path, tmp_path: Path) -> None:
    folder = model(
        tiny, tmp_path / "m", chat_template=[{"name": "rag", "template": "x"}, {"name": "tools", "template": "y"}]
    )
    with pytest.raises(ModelError, match="none is the default: rag, tools"):
        Tokenizer(folder)


BROKEN = {
    "syntax": ("a\n{% if %}", r"tokenizer_config\.json's chat_template, line 2: Expected an expression"),
    "unknown function": ("\n{{ nosuch() }}", r"line 2: 'nosuch' is undefined"),
    "unknown tag": ("{% nosuch %}", r"line 1: Encountered unknown tag 'nosuch'"),
    "endless": ("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "does not end"),
    "too large": ("{{ 'a' * 10 ** 10 }}", "makes too much text"),
}


@pytest.mark.parametrize(("template", "why"), BROKEN.values(), ids=BROKEN)
def test_a_template_at_fault_is_a_sentence_of_exit_code_3(template: str, why: str, tiny: Path, tmp_path: Path) -> None:
    folder = model(tiny, tmp_path / "m", chat_template=template)
    with pytest.raises(ModelError, match=why) as caught:
        Tokenizer(folder).render(LED, True)
    assert caught.value.code == 3
    assert "data.chat_template" in caught.value.hint


def test_a_template_that_fits_some_rows_leaves_out_the_others(tiny: Path, tmp_path: Path) -> None:
    tokenizer = Tokenizer(model(tiny, tmp_path / "m", chat_template="\n{{ messages[0].content[40] + '!' }}"))
    long = [Message("user", "a" * 41)]
    assert not tokenizer.fault
    with pytest.raises(ModelError):  # it does not fit a plain question either
        tokenizer.render(ASKED, True)
    assert tokenizer.render(long, True).endswith("a!")
    picky = Tokenizer(model(tiny, tmp_path / "m", chat_template="{{ messages[1].nosuch.x if messages[1] else 'a' }}"))
    with pytest.raises(TemplateRefused, match="does not fit the chat template: .*line 1: "):
        picky.render(ASKED, True)
    refusing = Tokenizer(model(tiny, tmp_path / "m", chat_template="{{ raise_exception('No ' + 'way.') }}"))
    with pytest.raises(TemplateRefused, match="does not fit the chat template: No way"):
        refusing.render(ASKED, True)


@pytest.mark.parametrize(
    "name", ["tokenizer.json", "tokenizer_config.json", "generation_config.json", "chat_template.json"]
)
@pytest.mark.parametrize("text", ["{\n", "[]", '"x"', "\xff"])
def test_a_damaged_configuration_is_a_sentence(name: str, text: str, tiny: Path, tmp_path: Path) -> None:
    folder = model(tiny, tmp_path / "m")
    (folder / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(ModelError, match=name):
        Tokenizer(folder)


def test_a_person_may_give_a_template_or_none(tiny: Path, tmp_path: Path) -> None:
    folder = model(tiny, tmp_path / "m", chat_template=SAY)
    (tmp_path / "own.jinja").write_text("<{{ messages[0].content }}>")
    own = Tokenizer(folder, template=chosen(folder, str(tmp_path / "own.jinja")))
    assert own.has_template
    assert own.render(ASKED[:1], True) == "<a <b> & 'c'>"
    unwrapped = Tokenizer(folder, template=chosen(folder, "none"))
    assert not unwrapped.has_template
    assert unwrapped.render(ASKED, True) == Tokenizer(folder).render(ASKED, True)
    assert chosen(tiny, "none") == chosen(tiny, None) == ChatTemplate(TURNS, "Gemma's turns", wraps=False)
    (tmp_path / "other.jinja").write_text('{"messages": "{{ x }}"}')
    with pytest.raises(RecipeError, match="does not use the messages"):
        chosen(folder, str(tmp_path / "other.jinja"))
    with pytest.raises(RecipeError, match=r"gone\.jinja cannot be read"):
        chosen(folder, str(tmp_path / "gone.jinja"))


def test_a_base_gemma_4_has_turns_of_its_own(tiny: Path, tmp_path: Path) -> None:
    encoder = (tiny / "tokenizer.json").read_text()
    for old, new in (("<start_of_turn>", "<|turn>"), ("<end_of_turn>", "<turn|>")):
        encoder = encoder.replace(old, new)
    folder = model(tiny, tmp_path / "m")
    (folder / "tokenizer.json").write_text(encoder)
    tokenizer = Tokenizer(folder)
    assert tokenizer.render(LED[:2], True) == (
        "<bos><|turn>system\nBe\nbrief.<turn|>\n<|turn>user\na <b> & 'c'<turn|>\n<|turn>model\n"
    )
    assert not tokenizer.has_template
    assert not tokenizer.folds_system
