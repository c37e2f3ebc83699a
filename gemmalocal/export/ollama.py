"""A Modelfile for Ollama beside a GGUF: template, stops and parameters (https://docs.ollama.com/modelfile)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.published import Licence
from gemmalocal.records import Message

SYSTEM, PROMPT, RESPONSE = "{{ .System }}", "{{ .Prompt }}", "{{ .Response }}"


def template(tokenizer: Tokenizer, between: str = "") -> str:
    """Ollama's (Go's) template that says what the model's own says; of a model without one, the prompt as it is.

    Rows of such a model had `between` after their prompts. The rest is read off what the own template makes of a turn
    with and without a system's text. Ollama adds <bos>.
    """
    if not tokenizer.has_template:
        return PROMPT + between + RESPONSE
    asked = [Message("user", PROMPT)]
    plain = tokenizer.render(asked, ask=True)
    led = tokenizer.render([Message("system", SYSTEM), *asked], ask=True)
    start = len(os.path.commonprefix([plain, led]))
    end = len(os.path.commonprefix([plain[start:][::-1], led[start:][::-1]]))
    turn = f"{plain[:start]}{{{{ if .System }}}}{led[start : len(led) - end]}{{{{ end }}}}{plain[start:]}"
    said = tokenizer.render([*asked, Message("assistant", RESPONSE)], ask=False)
    return turn.removeprefix(tokenizer.bos) + RESPONSE + said.rpartition(RESPONSE)[2]


def modelfile(file: str, template: str, tokenizer: Tokenizer, licence: Licence, parameters: Mapping[str, Any]) -> str:
    """The Modelfile's text; `file` is the GGUF's name beside it."""
    stops = sorted(tokenizer.decode([end], special=True) for end in tokenizer.stop_ids)
    lines = [f"FROM ./{file}", f'TEMPLATE """{template}"""']
    lines += [f'PARAMETER stop "{stop}"' for stop in stops]
    lines += [f"PARAMETER {key} {value}" for key, value in parameters.items()]
    lines.append(f'LICENSE """{licence.notice}"""')
    return "\n".join(lines) + "\n"
