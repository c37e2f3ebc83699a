"""The Modelfile's template, filled in as Ollama does, against the model's own template."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from gemmalocal.data.tokenizer import TURNS, Tokenizer
from gemmalocal.export import ollama
from gemmalocal.published import APACHE, GEMMA_TERMS, licence
from gemmalocal.records import Message
from tests.data.test_examples import GEMMA4


def speaking(tiny: Path, folder: Path, template: str) -> Tokenizer:
    """The tiny Gemma's tokenizer with a chat template; with none if that is empty."""
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        if (tiny / name).is_file():
            shutil.copyfile(tiny / name, folder / name)
    if template:
        (folder / "chat_template.jinja").write_text(template)
    return Tokenizer(folder)


def filled(template: str, **values: str) -> str:
    """What Go's text/template makes of the actions that are used: `if`, `end` and fields."""
    for name, value in values.items():
        kept = r"\1" if value else ""
        template = re.sub(r"\{\{ if \." + name + r" \}\}(.*?)\{\{ end \}\}", kept, template, flags=re.DOTALL)
        template = template.replace("{{ ." + name + " }}", value)
    assert "{{" not in template
    return template


@pytest.mark.parametrize("system", ["", "Be brief."])
@pytest.mark.parametrize("own", [TURNS, GEMMA4], ids=["turns", "gemma4"])
def test_the_template_is_the_models_own(own: str, system: str, tiny: Path, tmp_path: Path) -> None:
    tokenizer = speaking(tiny, tmp_path, own)
    messages = [*([Message("system", system)] if system else []), Message("user", "Why?")]
    template = ollama.template(tokenizer)
    asked, _, rest = template.partition("{{ .Response }}")
    wanted = tokenizer.render(messages, ask=True)
    assert tokenizer.bos + filled(asked, System=system, Prompt="Why?") == wanted  # llama.cpp puts <bos> there
    answered = tokenizer.render([*messages, Message("assistant", "So.")], ask=False)
    assert answered.endswith("So." + rest)
    assert rest.strip()


def test_a_model_of_plain_text_goes_on_from_its_prompt(tiny: Path, tmp_path: Path) -> None:
    tokenizer = speaking(tiny, tmp_path, "")
    assert filled(ollama.template(tokenizer), Prompt="Quote: ", Response="x") == "Quote: x"
    assert filled(ollama.template(tokenizer, "\n"), Prompt="Why?", Response="x") == "Why?\nx"


@pytest.mark.parametrize(("model_type", "known"), [("gemma3_text", GEMMA_TERMS), ("gemma4_text", APACHE)])
def test_the_licence_is_the_bases(model_type: str, known: object, tiny: Path, tmp_path: Path) -> None:
    found = licence(model_type)
    assert found is known
    written = ollama.modelfile("x.gguf", "{{ .Prompt }}", speaking(tiny, tmp_path, TURNS), found, {"temperature": 0.7})
    assert written.startswith("FROM ./x.gguf\n")
    assert 'PARAMETER stop "<end_of_turn>"\n' in written
    assert 'PARAMETER stop "<eos>"\n' in written
    assert f'LICENSE """{found.notice}"""' in written
