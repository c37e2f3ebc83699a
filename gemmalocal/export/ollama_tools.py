"""Tools in a Modelfile: Ollama's own renderers for models that have a grammar of calls, else the plain layout in Go.

Ollama finds calls in an answer by the text that a template has around `.ToolCalls`. Declarations it writes as JSON of
its own spacing and order.
"""

from __future__ import annotations

import json

from gemmalocal.data.layout import Layout
from gemmalocal.data.tokenizer import Tokenizer
from gemmalocal.export import ollama
from gemmalocal.export.ollama import TurnMarks
from gemmalocal.tool_calls.grammars import FUNCTION_GEMMA, GEMMA_4

RENDERERS = {FUNCTION_GEMMA: "functiongemma", GEMMA_4: "gemma4"}  # Ollama's names
TOLD = "You can call tools. These are there:\n<tools>\n"
FORM = (
    '</tools>\nA call is written as\n<tool_call>\n{"name": "its name", "arguments": {"a name": "a value"}}\n'
    "</tool_call>\n\n"
)


def renderer(tokenizer: Tokenizer, layout: Layout) -> str:
    """The renderer and parser of Ollama that a run's rows call for; "" where its template has to do."""
    if not layout.tools or tokenizer.grammar is None or not tokenizer.knows_tools:
        return ""
    return RENDERERS.get(tokenizer.grammar, "")


def written(tokenizer: Tokenizer, layout: Layout) -> tuple[str, str]:
    """The template of a Modelfile for a run's rows, and the renderer that stands for it in conversations, if any.

    Raises `ModelError` as `ollama.template`.
    """
    if named := renderer(tokenizer, layout):
        return "{{ .Prompt }}", named
    if layout.tools:
        return template(ollama.turn_marks(tokenizer), tokenizer.folds_system), ""
    return ollama.template(tokenizer, layout), ""


def template(marks: TurnMarks, folds: bool) -> str:
    """The plain layout in Go, around the marks of turns; what tools answer stands in a user's turn.

    Where a system's text is folded into the first question (`folds`), tools stand before it.
    """
    each = '{{- range $.Tools -}}{{- .Function -}}{{- "\\n" -}}{{- end -}}'
    told = f"{{{{- $told = true -}}}}{{{{- {_quoted(TOLD)} -}}}}{each}{{{{- {_quoted(FORM)} -}}}}"
    first = f"{{{{- if $.Tools -}}}}{told}{{{{- end -}}}}" if folds else ""
    ask = f"{{{{- if $asked -}}}}{{{{- {_quoted(marks.after_asked)} -}}}}{{{{- end -}}}}"
    return "\n".join(
        (
            f"{{{{- $before := {_quoted(marks.before_first)} -}}}}",
            '{{- $asked := false -}}{{- $told := false -}}{{- $last := "" -}}',
            "{{- range $place, $message := .Messages -}}",
            '{{- if and (eq .Role "system") (eq $place 0) -}}',
            f"{{{{- if .Content -}}}}{{{{- {_quoted(marks.before_system)} -}}}}{first}{{{{- .Content -}}}}",
            f"{{{{- $before = {_quoted(marks.after_system)} -}}}}{{{{- end -}}}}",
            '{{- else if eq .Role "assistant" -}}',
            f"{ask}{{{{- .Content -}}}}",
            "{{- range $number, $call := .ToolCalls -}}",
            '{{- if or $number $message.Content -}}{{- "\\n" -}}{{- end -}}',
            '{{- "<tool_call>\\n{\\"name\\": \\"" -}}{{- .Function.Name -}}',
            '{{- "\\", \\"arguments\\": " -}}{{- .Function.Arguments -}}{{- "}\\n</tool_call>" -}}',
            "{{- end -}}",
            f"{{{{- $before = {_quoted(marks.after_reply)} -}}}}{{{{- $asked = false -}}}}",
            '{{- else if eq .Role "tool" -}}',
            '{{- if eq $last "tool" -}}{{- "\\n" -}}{{- else -}}' + ask + "{{- $before -}}{{- end -}}",
            '{{- "<tool_response>\\n" -}}{{- .Content -}}{{- "\\n</tool_response>" -}}{{- $asked = true -}}',
            "{{- else -}}",
            "{{- $before -}}",
            "{{- if and $.Tools (not $told) -}}" + told + "{{- end -}}",
            "{{- .Content -}}{{- $asked = true -}}",
            "{{- end -}}",
            "{{- $last = .Role -}}",
            "{{- end -}}",
            f"{{{{- if $asked -}}}}{{{{- {_quoted(marks.ask)} -}}}}{{{{- end -}}}}",
        )
    )


def _quoted(text: str) -> str:
    """A text as Go writes it."""
    return json.dumps(text, ensure_ascii=False)
