"""Templates of others end, and say what is wrong with them and where."""

from __future__ import annotations

import pytest

from gemmalocal.templates import bounds
from gemmalocal.templates.sandbox import TemplateFault, Templates

DOUBLED = 60
ENDLESS = {
    "nested loops": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "macros": "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
    "sorted groups": "{% for g in range(99999) | groupby('real') %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "text times": "{{ 'a' * 10**10 }}",
    "times text": "{% set n = 10000000000 %}{% set x = n * 'a' %}",
    "list times": "{% set x = [1] * 10**10 %}",
    "constant": "{{ 'a' | center(10000000000) }}",
    "center": "{% set x = 'a'.center(10000000000) %}",
    "ljust": "{% set x = 'a'.ljust(10000000000) %}",
    "zfill": "{{ '1'.zfill(10000000000) }}",
    "bytes": "{{ (1).to_bytes(10000000000, 'big') }}",
    "tabs": "{{ ('\t' * 100000).expandtabs(100000) }}",
    "indent": "{{ ('a\n' * 100000) | indent(100000) }}",
    "indent by text": "{{ ('a\n' * 100000) | indent('b' * 100000) }}",
    "wordwrap": "{{ ('a ' * 100000) | wordwrap(1, wrapstring='b' * 100000) }}",
    "urlize": "{{ ('http://a.de ' * 100000) | urlize(target='x' * 10000) }}",
    "replace": "{{ ('a' * 1000000) | replace('a', 'b' * 1000000) }}",
    "replace nothing": "{{ ('a' * 1000000).replace('', 'b' * 1000000) }}",
    "join": "{{ (['a' * 100000] * 100000) | join }}",
    "join by": "{{ range(99999) | join('a' * 1000000) }}",
    "joined by": "{{ ('a' * 1000000).join(['a'] * 100000) }}",
    "sum": "{{ ([[1] * 10000] * 10000) | sum(start=[]) }}",
    "literals": "{% for i in range(99999) %}" + "a" * 10000 + "{% endfor %}",
    "constants": "{% for i in range(99999) %}{% if i %}{{ '" + "a" * 10000 + "' }}{% endif %}{% endfor %}",
    "captured literals": "{% for i in range(99999) %}{% set x %}" + "a" * 10000 + "{% endset %}{% endfor %}",
    "literals of a macro": "{% macro m() %}"
    + "a" * 10000
    + "{% endmacro %}{% for i in range(9999) %}{{ m() }}{% endfor %}",
    "printf again": "{{ ('%s' * 1000) % (('a' * 100000,) * 1000) }}",
    "widths": "{{ ('%999999d' * 1000) % ((1,) * 1000) }}",
    "format again": "{{ ('{0}' * 1000).format('a' * 100000) }}",
    "format widths": "{{ ('{0:999999}' * 1000).format(1) }}",
    "named": "{{ ('%(x)s' * 1000) | format(x='a' * 100000) }}",
    "printf": "{{ '%10000000000d' | format(1) }}",
    "percent": "{{ '%*d' % (10000000000, 1) }}",
    "format": "{{ '{:10000000000}'.format(1) }}",
    "format by": "{{ '{:{w}}'.format(1, w=10000000000) }}",
    "power": "{{ 2 ** 99999999 }}",
    "squares": "{% set n = 10 %}" + "{% set n = n * n %}" * DOUBLED,
    "doubled": "{% set s = 'aaaaaaaaaa' %}" + "{% set s = s ~ s %}" * DOUBLED,
    "added": "{% set s = 'aaaaaaaaaa' %}" + "{% set s = s + s %}" * DOUBLED,
    "captured": "{% set s = 'aaaaaaaaaa' %}" + "{% set s %}{{ s }}{{ s }}{% endset %}" * DOUBLED,
    "added lists": "{% set s = [1, 2] %}" + "{% set s = s + s %}" * DOUBLED,
    "nested lists": "{% set a = [messages] %}" + "{% set a = [a, a] %}" * DOUBLED + "{{ a == [] }}",
    "nested mappings": "{% set a = dict(x=1) %}" + "{% set a = dict(x=a, y=a) %}" * DOUBLED + "{{ a | tojson }}",
    "nested literals": "{% set a = messages %}" + "{% set a = {'x': a, 'y': (a, a)} %}" * DOUBLED,
    "written out": "{{ (['a' * 1000000] * 1000) | pprint }}",
    "output": "{{ ['a' * 1000000] * 1000 }}",
    "mapped": "{{ range(99999) | map('center', 100000) | join }}",
    "batch": "{{ [1] | batch(10000000000, 0) | list }}",
    "slice": "{{ [1] | slice(10000000000) | list }}",
    "json": "{{ dict.fromkeys(range(99999), 1) | tojson(indent=999999) }}",
}
BROKEN = {
    "{% if %}": "line 1: Expected an expression",
    "a\nb\n{{ x.y.z }}": "line 3: 'x' is undefined",
    "\n{{ 1 + 'a' }}": "line 2: unsupported operand",
    "\n\n{{ 1 / 0 }}": "line 3: division by zero",
    "{{ 1 | nosuch }}": "line 1: No filter named 'nosuch'",
    "\n{{ nosuch() }}": "line 2: 'nosuch' is undefined",
    "{{ lipsum(10000000) }}": "line 1: 'lipsum' is undefined",
    "{% include 'x' %}": "line 1: it wants the template x",
    "{% for m in messages %}": "line 1: Unexpected end of template",
    "{{ messages[0].content.nosuch() }}": "line 1: ",
    "{{ ''.__class__.__mro__ }}": "line 1: access to attribute '__class__'",
    "{% set n = namespace(__class__=1) %}": "line 1: a namespace holds no",
    "{% for i in range(10 ** 9) %}{% endfor %}": "line 1: Range too big",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}": "nested too deeply",
    "{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}": "nested too deeply",
    "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}": "nested too deeply",
    "{% for i in [1] %}" * 40 + "{% endfor %}" * 40: "too many statically nested blocks",
    "{{ 'abc": "line 1: ",
    "{{ messages.append(1) }}": "line 1: ",
}


def rendered(source: str) -> str:
    templates = Templates()
    values = {"messages": [{"role": "user", "content": "Why?"}]}
    return templates.render(templates.compile(source, "x.jinja"), values)


@pytest.mark.parametrize("source", ENDLESS.values(), ids=ENDLESS)
def test_a_template_that_does_too_much_is_stopped(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "TURNS", 100_000)
    monkeypatch.setattr(bounds, "CHARACTERS", 2_000_000)
    with pytest.raises(TemplateFault, match=r"^x\.jinja, line \d+: it ") as caught:
        rendered(source)
    assert caught.value.endless


def test_a_template_of_a_million_characters_is_none() -> None:
    with pytest.raises(TemplateFault, match="it is longer than 1,000,000 characters"):
        rendered("a" * 1_000_001)


def test_a_template_that_takes_too_long_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "SECONDS", 0.05)
    with pytest.raises(TemplateFault, match="line 1: it does not end"):
        rendered(ENDLESS["nested loops"])


@pytest.mark.parametrize(("source", "why"), BROKEN.items(), ids=[source[:30] for source in BROKEN])
def test_a_broken_template_is_named_with_its_line(source: str, why: str) -> None:
    with pytest.raises(TemplateFault) as caught:
        rendered(source)
    assert str(caught.value).startswith("x.jinja")
    assert why in str(caught.value)
    assert not caught.value.endless


FINE = {
    "{{ messages[0].content ~ '|' ~ 1 ~ none }}": "Why?|1None",
    "{{ messages }}": "[{'role': 'user', 'content': 'Why?'}]",
    "{{ '%-5s|%d' % ('a', 3) }}{{ '%5.1f' | format(2) }}": "a    |3  2.0",
    "{{ '{:>4}{}'.format(1, 12345678) }}": "   112345678",
    "{{ 3 * 'ab' + 'c' }}{{ 2 ** 10 }}{{ 7 % 4 }}{{ [1] + [2] }}": "abababc10243[1, 2]",
    "{{ ['a', 'b'] | join('-') }}{{ '+'.join(['a', 'b']) }}{{ [1, 2] | sum }}": "a-ba+b3",
    "{% set a, b = (1, 2) %}{% for x, y in [(a, b)] %}{{ x }}{{ y }}{% endfor %}": "12",
    "{{ undefined_name }}{{ x is defined }}": "False",
    "{{ 'a\nb' | indent(2) }}{{ 'ab' | replace('a', 'c') }}": "a\n  bcb",
    "{% set n = namespace(a=1) %}{% set n.a = n.a + 1 %}{{ n.a }}": "2",
    "{% for i in range(5) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}{% endif %}{{ i }}"
    "{% endfor %}": "02",
}


@pytest.mark.parametrize(("source", "wanted"), FINE.items(), ids=[source[:30] for source in FINE])
def test_counting_changes_nothing(source: str, wanted: str) -> None:
    assert rendered(source) == wanted


def test_a_long_text_has_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a template may make grows with what it is given."""
    monkeypatch.setattr(bounds, "CHARACTERS", 1000)
    templates = Templates()
    template = templates.compile("{{ x | trim }}", "x.jinja")
    assert templates.render(template, {"x": "a" * 100_000}, characters=100_000) == "a" * 100_000
    with pytest.raises(TemplateFault, match="too much text"):
        templates.render(template, {"x": "a" * 100_000})
