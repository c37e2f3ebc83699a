"""Chat templates with tools, written to the grammars that Google publishes, in our words."""

from __future__ import annotations

VALUES = """\
{%- macro value(it) -%}
{%- if it is string -%}QUOTE{{ it }}QUOTE
{%- elif it is boolean -%}{{ 'true' if it else 'false' }}
{%- elif it is mapping -%}{ {{- pairs(it) -}} }
{%- elif it is sequence -%}[{%- for part in it -%}{{ value(part) }}{{ ',' if not loop.last }}{%- endfor -%}]
{%- else -%}{{ it }}
{%- endif -%}
{%- endmacro -%}
{%- macro pairs(it) -%}
{%- for key, inner in it | dictsort -%}{{ key }}:{{ value(inner) }}{{ ',' if not loop.last }}{%- endfor -%}
{%- endmacro -%}
{%- macro parameters(properties) -%}
{%- for key, about in properties | dictsort -%}
{{ key }}:{
{%- if about['description'] -%}description:QUOTE{{ about['description'] }}QUOTE,{%- endif -%}
{%- if about['enum'] -%}enum:{{ value(about['enum']) }},{%- endif -%}
{%- if about['properties'] -%}properties:{ {{- parameters(about['properties']) -}} },{%- endif -%}
{%- if about['items'] is mapping -%}items:{type:QUOTE{{ about['items']['type'] | upper }}QUOTE},{%- endif -%}
type:QUOTE{{ about['type'] | upper }}QUOTE}{{ ',' if not loop.last }}
{%- endfor -%}
{%- endmacro -%}
{%- macro declaration(tool) -%}
{%- set its = tool['function'] -%}
declaration:{{ its['name'] }}{description:QUOTE{{ its['description'] }}QUOTE
{%- if its['parameters'] -%}
,parameters:{
{%- set known = its['parameters']['properties'] -%}
{%- if known -%}properties:{ {{- parameters(known) -}} },{%- endif -%}
{%- if its['parameters']['required'] -%}required:{{ value(its['parameters']['required']) }},{%- endif -%}
type:QUOTE{{ its['parameters']['type'] | upper }}QUOTE}
{%- endif -%}
}
{%- endmacro -%}
{%- macro answer(name, content) -%}
ANSWERresponse:{{ name }}{
{%- if content is mapping -%}{{ pairs(content) }}{%- else -%}value:{{ value(content) }}{%- endif -%}
}RESPONDED
{%- endmacro -%}
{%- macro call(it) -%}
{%- set given = it['function']['arguments'] -%}
CALLcall:{{ it['function']['name'] }}{ {{- pairs(given) if given is mapping else given -}} }CALLED
{%- endmacro -%}
"""
FUNCTION_GEMMA_TURNS = """\
{{- bos_token -}}
{%- set state = namespace(last='') -%}
{%- set led = messages[0]['role'] in ['system', 'developer'] -%}
{%- if tools or led -%}
{{- '<start_of_turn>developer\n' -}}
{%- if led -%}{{- messages[0]['content'] | trim -}}{%- endif -%}
{%- for tool in tools or [] -%}
{{- '<start_function_declaration>' -}}{{- declaration(tool) -}}{{- '<end_function_declaration>' -}}
{%- endfor -%}
{{- '<end_of_turn>\n' -}}
{%- endif -%}
{%- for message in (messages[1:] if led else messages) -%}
{%- if message['role'] == 'tool' -%}
{%- if message['name'] is not defined -%}{{ raise_exception('A response needs the name of its tool.') }}{%- endif -%}
{{- answer(message['name'], message['content']) -}}
{%- set state.last = 'answer' -%}
{%- else -%}
{%- if state.last != 'answer' -%}
{{- '<start_of_turn>' ~ ('model' if message['role'] == 'assistant' else message['role']) ~ '\n' -}}
{%- endif -%}
{%- set state.last = '' -%}
{%- if message['content'] -%}{{- message['content'] | trim -}}{%- endif -%}
{%- for one in message['tool_calls'] or [] -%}{{- call(one) -}}{%- set state.last = 'call' -%}{%- endfor -%}
{%- if state.last == 'call' -%}
{%- if loop.last -%}{{- 'ANSWER' -}}{%- endif -%}
{%- else -%}{{- '<end_of_turn>\n' -}}
{%- endif -%}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt and state.last != 'answer' -%}{{- '<start_of_turn>model\n' -}}{%- endif -%}
"""
THOUGHTLESS = """\
{%- macro said(text) -%}
{%- set kept = namespace(text='') -%}
{%- for part in text.split('<channel|>') -%}
{%- set kept.text = kept.text ~ part.split('<|channel>')[0] -%}
{%- endfor -%}
{{- kept.text | trim -}}
{%- endmacro -%}
{{- bos_token -}}
{%- set state = namespace(last='', asked=-1) -%}
{%- set led = messages[0]['role'] in ['system', 'developer'] -%}
{%- if enable_thinking or tools or led -%}
{{- '<|turn>system\n' -}}
{%- if enable_thinking -%}{{- '<|think|>\n' -}}{%- endif -%}
{%- if led -%}{{- messages[0]['content'] | trim -}}{%- endif -%}
{%- for tool in tools or [] -%}{{- '<|tool>' -}}{{- declaration(tool) -}}{{- '<tool|>' -}}{%- endfor -%}
{{- '<turn|>\n' -}}
{%- endif -%}
{%- set turns = messages[1:] if led else messages -%}
"""
ASK_4 = """\
{%- if add_generation_prompt -%}
{%- if state.last != 'answer' -%}{{- '<|turn>model\n' -}}{%- endif -%}
{%- if not enable_thinking | default(false) -%}{{- '<|channel>thought\n<channel|>' -}}{%- endif -%}
{%- endif -%}
"""
# Gemma 4 as it first came: answers stand beside the calls, in `tool_responses`, and what is said after them too.
GEMMA_4_BESIDE = (
    THOUGHTLESS
    + """\
{%- for message in turns -%}
{{- '<|turn>' ~ ('model' if message['role'] == 'assistant' else message['role']) ~ '\n' -}}
{%- set state.last = '' -%}
{%- for one in message['tool_calls'] or [] -%}{{- call(one) -}}{%- endfor -%}
{%- for one in message['tool_responses'] or [] -%}
{{- answer(one['name'], one['response']) -}}{%- set state.last = 'answer' -%}
{%- endfor -%}
{{- said(message['content'] or '') if message['role'] == 'assistant' else message['content'] | trim -}}
{%- if not (message['tool_responses'] and not message['content']) -%}{{- '<turn|>\n' -}}{%- endif -%}
{%- endfor -%}
"""
    + ASK_4
)
# Gemma 4 since: answers are turns of their own role, and go on within the model's turn; a call ends with their mark.
GEMMA_4_TURNS = (
    THOUGHTLESS
    + """\
{%- for message in turns -%}
{%- if message['role'] == 'user' -%}{%- set state.asked = loop.index0 -%}{%- endif -%}
{%- endfor -%}
{%- for message in turns -%}
{%- if message['role'] == 'tool' -%}
{%- set named = namespace(name=message['name'] or 'unknown') -%}
{{- answer(named.name, message['content']) -}}
{%- set state.last = 'answer' -%}
{%- else -%}
{%- if state.last != 'answer' -%}
{{- '<|turn>' ~ ('model' if message['role'] == 'assistant' else message['role']) ~ '\n' -}}
{%- endif -%}
{%- set state.last = '' -%}
{%- if message['reasoning_content'] and loop.index0 > state.asked -%}
{{- '<|channel>thought\n' ~ message['reasoning_content'] ~ '\n<channel|>' -}}
{%- endif -%}
{{- said(message['content'] or '') if message['role'] == 'assistant' else message['content'] | trim -}}
{%- for one in message['tool_calls'] or [] -%}{{- call(one) -}}{%- set state.last = 'call' -%}{%- endfor -%}
{%- if state.last != 'call' -%}{{- '<turn|>\n' -}}
{%- elif loop.last -%}{{- 'ANSWER' -}}
{%- endif -%}
{%- endif -%}
{%- endfor -%}
"""
    + ASK_4
)


def _with_marks(template: str, call: str, called: str, answer: str, responded: str, quote: str) -> str:
    for name, mark in (("CALLED", called), ("CALL", call), ("ANSWER", answer), ("RESPONDED", responded)):
        template = template.replace(name, mark)
    return template.replace("QUOTE", quote)


_FUNCTION = ("<start_function_call>", "<end_function_call>", "<start_function_response>", "<end_function_response>")
_FOURTH = ("<|tool_call>", "<tool_call|>", "<|tool_response>", "<tool_response|>")
FUNCTION_GEMMA = _with_marks(VALUES + FUNCTION_GEMMA_TURNS, *_FUNCTION, "<escape>")
GEMMA_4 = _with_marks(VALUES + GEMMA_4_TURNS, *_FOURTH, '<|"|>')
GEMMA_4_FIRST = _with_marks(VALUES + GEMMA_4_BESIDE, *_FOURTH, '<|"|>')
PUBLISHED = {"function_gemma": FUNCTION_GEMMA, "gemma_4": GEMMA_4, "gemma_4_first": GEMMA_4_FIRST}
