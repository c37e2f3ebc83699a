"""A Modelfile for Ollama beside a GGUF: template, stops and parameters (https://docs.ollama.com/modelfile)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Gemma 1 to 3 have no system role: its text stands in front of the user's first.
TURNS = """<start_of_turn>user
{{ if .System }}{{ .System }}

{{ end }}{{ .Prompt }}<end_of_turn>
<start_of_turn>model
{{ .Response }}<end_of_turn>
"""
PLAIN = "{{ .Prompt }}%s{{ .Response }}"
STOPS = ("<end_of_turn>", "<start_of_turn>", "<eos>")


def modelfile(file: str, chat: bool, parameters: Mapping[str, Any], between: str = "") -> str:
    """`file` is the GGUF's name beside it; `chat` whether the model was tuned in turns or on plain text.

    Plain rows had `between` after their prompts.
    """
    lines = [f"FROM ./{file}", f'TEMPLATE """{TURNS if chat else PLAIN % between}"""']
    lines += [f'PARAMETER stop "{stop}"' for stop in (STOPS if chat else STOPS[-1:])]
    lines += [f"PARAMETER {key} {value}" for key, value in parameters.items()]
    lines.append(
        'LICENSE """Gemma is provided under and subject to the Gemma Terms of Use: ai.google.dev/gemma/terms"""'
    )
    return "\n".join(lines) + "\n"
