"""What the chat templates of Gemma 1 to 4 do, as they are published, in our words."""

from __future__ import annotations

from gemmalocal.data.tokenizer import TURNS

_ALTERNATE = (
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
)
_NAMED = (
    "{% if message['role'] == 'assistant' %}{% set role = 'model' %}"
    "{% else %}{% set role = message['role'] %}{% endif %}"
)
GEMMA2 = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}"
    "{% endif %}{% for message in messages %}"
    + _ALTERNATE
    + _NAMED
    + "{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
GEMMA3 = (
    "{{ bos_token }}\n{%- set prefix = '' -%}\n{%- set turns = messages -%}\n"
    "{%- if messages[0]['role'] == 'system' -%}\n"
    "    {%- if messages[0]['content'] is string -%}\n"
    "        {%- set prefix = messages[0]['content'] + '\n\n' -%}\n"
    "    {%- else -%}\n"
    "        {%- set prefix = messages[0]['content'][0]['text'] + '\n\n' -%}\n"
    "    {%- endif -%}\n"
    "    {%- set turns = messages[1:] -%}\n"
    "{%- endif -%}\n"
    "{%- for message in turns -%}\n"
    + _ALTERNATE
    + _NAMED
    + "    {{ '<start_of_turn>' + role + '\n' + (prefix if loop.first else '') }}\n"
    "    {%- if message['content'] is string -%}\n"
    "        {{ message['content'] | trim }}\n"
    "    {%- elif message['content'] is iterable -%}\n"
    "        {%- for item in message['content'] -%}\n"
    "            {%- if item['type'] == 'image' -%}\n"
    "                {{ '<start_of_image>' }}\n"
    "            {%- elif item['type'] == 'text' -%}\n"
    "                {{ item['text'] | trim }}\n"
    "            {%- endif -%}\n"
    "        {%- endfor -%}\n"
    "    {%- else -%}\n"
    "        {{ raise_exception('Invalid content type') }}\n"
    "    {%- endif -%}\n"
    "    {{ '<end_of_turn>\n' }}\n"
    "{%- endfor -%}\n"
    "{%- if add_generation_prompt -%}\n"
    "    {{ '<start_of_turn>model\n' }}\n"
    "{%- endif -%}\n"
)
# Gemma 4: thoughts are taken out of history, and an empty one opens a reply that is to come without any.
GEMMA4 = (
    "{%- macro said(text) -%}\n"
    "    {%- set kept = namespace(text='') -%}\n"
    "    {%- for part in text.split('<channel|>') -%}\n"
    "        {%- set kept.text = kept.text + part.split('<|channel>')[0] -%}\n"
    "    {%- endfor -%}\n"
    "    {{- kept.text | trim -}}\n"
    "{%- endmacro -%}\n"
    "{%- set turns = messages -%}\n"
    "{{- bos_token -}}\n"
    "{%- set led = messages[0]['role'] in ['system', 'developer'] -%}\n"
    "{%- if (enable_thinking is defined and enable_thinking) or tools or led -%}\n"
    "    {{- '<|turn>system\n' -}}\n"
    "    {%- if enable_thinking is defined and enable_thinking -%}{{- '<|think|>\n' -}}{%- endif -%}\n"
    "    {%- if led -%}\n"
    "        {{- messages[0]['content'] | trim -}}\n"
    "        {%- set turns = messages[1:] -%}\n"
    "    {%- endif -%}\n"
    "    {{- '<turn|>\n' -}}\n"
    "{%- endif -%}\n"
    "{%- for message in turns -%}\n"
    "    {%- set role = 'model' if message['role'] == 'assistant' else message['role'] -%}\n"
    "    {{- '<|turn>' + role + '\n' -}}\n"
    "    {{- said(message['content']) if role == 'model' else message['content'] | trim -}}\n"
    "    {{- '<turn|>\n' -}}\n"
    "{%- endfor -%}\n"
    "{%- if add_generation_prompt -%}\n"
    "    {{- '<|turn>model\n' -}}\n"
    "    {%- if not enable_thinking | default(false) -%}{{- '<|channel>thought\n<channel|>' -}}{%- endif -%}\n"
    "{%- endif -%}\n"
)
ALL = {"turns": TURNS, "gemma2": GEMMA2, "gemma3": GEMMA3, "gemma4": GEMMA4}
