"""Jinja templates that others wrote: sandboxed, with what transformers gives them, and with an end.

Where a template is at fault, a `TemplateFault` says so with file and line.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Any

from jinja2 import Template, Undefined, nodes, pass_context
from jinja2.exceptions import SecurityError, TemplateError, TemplateNotFound, TemplateSyntaxError
from jinja2.ext import Extension, loopcontrols
from jinja2.loaders import BaseLoader, DictLoader
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace
from jinja2.visitor import NodeTransformer

from gemmalocal.templates.bounds import LOOKED_AT, NESTED, Exceeded, Meter

FAULTS = (
    TemplateError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError, AssertionError, SyntaxError,
    RuntimeError, MemoryError,
)  # fmt: skip
LONGEST = 1_000_000  # characters of a template: the longest published one has 20,000
UNNAMED = "<template>"  # Jinja's name for the file of one that a loader gave
UNQUOTED = str.maketrans("'\"", "\u2019\u201d")  # Jinja writes a template's name into code without escaping it
PART, BUILT, TURN = "counted part", "weighed list", "turn"  # filters that no template can name


class TemplateFault(Exception):
    """A template that is broken, or does too much (`endless`): "chat_template.jinja, line 3: 'x' is undefined"."""

    def __init__(self, message: str, endless: bool = False) -> None:
        super().__init__(message)
        self.endless = endless


class TemplateRaised(Exception):
    """A template's own `raise_exception`; the message is its."""


class Templates:
    """Compiles and renders templates; `loader` finds those that others name."""

    def __init__(self, loader: BaseLoader | None = None, undefined: type[Undefined] = Undefined) -> None:
        self._environment = _Environment(loader, undefined)

    def compile(self, source: str, file: str) -> Template:
        """A template of a text; `file` is what sentences call it. Raises `TemplateFault`."""
        environment = self._environment
        environment.meter.start(len(source))  # constants are worked out here
        with _sentences(file):
            if len(source) > LONGEST:
                raise Exceeded(f"is longer than {LONGEST:,} characters")
            code = environment.compile(source, file.translate(UNQUOTED), file)
            return environment.template_class.from_code(environment, code, dict(environment.globals))

    def named(self, name: str) -> Template:
        """The template that the loader has by a name. Raises `TemplateFault`."""
        self._environment.meter.start(0)
        with _sentences(name):
            return self._environment.get_template(name)

    def render(self, template: Template, values: Mapping[str, object], characters: int = 0) -> str:
        """A template filled in; `characters` is how many characters the values have, as far as they matter.

        Raises `TemplateFault`, and `TemplateRaised` where the template says itself that it will not.
        """
        self._environment.meter.start(characters)
        file = template.name if template.filename in (None, UNNAMED) else template.filename
        with _sentences(file or "the template"):
            return template.render(values)


class _Environment(ImmutableSandboxedEnvironment):
    """Counts what templates do: each turn of a loop, and texts and lists where they are made."""

    intercepted_binops = frozenset(("+", "*", "**", "%"))

    def __init__(self, loader: BaseLoader | None, undefined: type[Undefined]) -> None:
        self.meter = Meter()
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[Generation, loopcontrols],
            loader=loader or DictLoader({}),
            undefined=undefined,
            finalize=self._output,
        )
        self.globals |= {"raise_exception": _decline, "strftime_now": _now, "namespace": _Namespace}
        self.globals.pop("lipsum")
        self.filters |= {"tojson": _json}
        self.filters = {name: self._counted(name, filter_function) for name, filter_function in self.filters.items()}
        self.filters |= {PART: self.meter.counted, BUILT: self.meter.within_limit, TURN: self._turn}

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        bodies: tuple[type[nodes.For | nodes.Macro | nodes.CallBlock], ...] = nodes.For, nodes.Macro, nodes.CallBlock
        for node in list(tree.find_all(bodies)):
            literal = nodes.Const(_literal(node.body), lineno=node.lineno)
            node.body.insert(0, nodes.ExprStmt(_through(TURN, literal), lineno=node.lineno))
        for concat in list(tree.find_all(nodes.Concat)):
            concat.nodes = [_through(PART, part) for part in concat.nodes]
        return _Built().visit(tree)  # type: ignore[no-any-return]  # Jinja's visitors are not typed

    @pass_context  # so that it is not worked out when a template is compiled
    def _turn(self, _context: Context, literal: int) -> None:
        self.meter.turn(literal)

    def _output(self, value: Any) -> Any:
        if type(value) is str:  # as nearly always
            return self.meter.text(value)
        if isinstance(value, NESTED):
            self.meter.within_limit(value)
        return self.meter.counted(value if isinstance(value, str) else str(value))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """One of `intercepted_binops`."""
        if operator == "+" and type(left) is type(right) is str:  # as nearly always
            return self.meter.text(left + right)
        self.meter.combine(operator, left, right)
        return self.meter.counted(super().call_binop(context, operator, left, right))

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805  # as Jinja has it
        """Any call in a template."""
        meter, method = __self.meter, getattr(__obj, "__wrapped__", __obj)  # Jinja wraps str.format
        owner = getattr(method, "__self__", None)
        if isinstance(owner, (str, bytes, int)):
            name = method.__name__
            if name == "join" and args:
                args = (list(args[0]), *args[1:])
                meter.before_join(args[0], owner)
            meter.method(name, owner, (*args, *kwargs.values()))
            return meter.counted(super().call(__context, __obj, *args, **kwargs))
        if __obj is dict:
            return meter.within_limit(super().call(__context, __obj, *args, **kwargs))
        return super().call(__context, __obj, *args, **kwargs)

    def _counted(self, name: str, filter_function: Callable[..., Any]) -> Callable[..., Any]:
        """A filter that is looked at before and after."""
        if name not in LOOKED_AT:
            return _text_counted(self.meter, filter_function)
        first = 1 if hasattr(filter_function, "jinja_pass_arg") else 0  # a context comes before the value

        @wraps(filter_function)
        def filtered(*args: Any, **kwargs: Any) -> Any:
            if name in ("join", "sum") and len(args) > first:
                args = (*args[:first], list(args[first]), *args[first + 1 :])
                if name == "sum":
                    self.meter.before_sum(args[first])
                else:
                    self.meter.before_join(
                        args[first], kwargs.get("d", args[first + 1] if len(args) > first + 1 else "")
                    )
            self.meter.filter(name, (*args[first:], *kwargs.values()))
            return self.meter.counted(filter_function(*args, **kwargs))

        return filtered


def _text_counted(meter: Meter, filter_function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter whose text is about as long as what it is given."""

    @wraps(filter_function)
    def filtered(*args: Any, **kwargs: Any) -> Any:
        value = filter_function(*args, **kwargs)
        return meter.text(value) if type(value) is str else meter.counted(value)

    return filtered


class _Built(NodeTransformer):
    """Weighs each list that a template builds, so that none comes to be that holds itself doubled again and again."""

    def visit_List(self, node: nodes.List) -> nodes.Node:  # noqa: N802  # as Jinja has it
        """A list, also a mapping or a tuple, whose parts are no constants."""
        self.generic_visit(node)
        stored = getattr(node, "ctx", "load") != "load"
        constant = all(isinstance(part, nodes.Const) for part in node.find_all(nodes.Expr))
        return node if stored or constant else _through(BUILT, node)

    def visit_Assign(self, node: nodes.Assign) -> nodes.Node:  # noqa: N802
        """Several values for as many names make no tuple."""
        if isinstance(node.target, nodes.Tuple) and isinstance(node.node, nodes.Tuple):
            self.generic_visit(node.node)
            return node
        return self.generic_visit(node)

    visit_Tuple = visit_Dict = visit_List  # noqa: N815


def _literal(body: Iterable[nodes.Node]) -> int:
    """The most characters of its own that a body puts out, without those of loops in it, which count their own."""
    count = 0
    for node in body:
        if isinstance(node, nodes.Output):
            count += sum(len(part.data) for part in node.find_all(nodes.TemplateData))
            count += sum(len(str(part.value)) for part in node.nodes if isinstance(part, nodes.Const))
        elif isinstance(node, nodes.If):
            count += max(_literal(node.body), _literal(node.elif_), _literal(node.else_))
        elif not isinstance(node, (nodes.For, nodes.Macro, nodes.CallBlock)):
            count += _literal(getattr(node, "body", ()))
    return count


def _through(name: str, node: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


class Generation(Extension):
    """`{% generation %}`, which marks what a model says: only its contents count here."""

    tags = {"generation"}  # noqa: RUF012  # as Jinja has it

    def parse(self, parser: Parser) -> nodes.Node:
        """Its contents as a block of their own."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_said"), [], [], body).set_lineno(line)

    def _said(self, caller: Callable[[], str]) -> str:
        return caller()


class _Namespace(Namespace):
    """One whose names do not reach into Python."""

    def __init__(*args: Any, **kwargs: Any) -> None:  # noqa: N805  # a value may be called self
        Namespace.__init__(*args, **kwargs)
        for name in dict(*args[1:], **kwargs):
            _plain_name(name)

    def __setitem__(self, name: str, value: Any) -> None:
        _plain_name(name)
        super().__setitem__(name, value)

    def __repr__(self) -> str:
        return "<namespace>"  # it may hold itself


def _plain_name(name: str) -> None:
    if str(name).startswith("_"):
        raise SecurityError(f"a namespace holds no {name!r}")


@contextmanager
def _sentences(file: str) -> Iterator[None]:
    """Turn what a template's code raises into a `TemplateFault`."""
    try:
        yield
    except FAULTS as error:
        fault = TemplateFault(f"{file}{_line(error, file)}: {_reason(error)}", isinstance(error, Exceeded))
        raise fault from error


def _line(error: BaseException, file: str) -> str:
    line = getattr(error, "lineno", None)
    if not isinstance(error, TemplateSyntaxError):
        frames = traceback.extract_tb(error.__traceback__)
        line = next(
            (frame.lineno for frame in reversed(frames) if frame.filename == file or Path(frame.filename).name == file),
            None,
        )
    return f", line {line}" if line else ""


def _reason(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply, or a macro calls itself without an end"
    if isinstance(error, MemoryError):
        return "it makes too much text"
    if isinstance(error, TemplateNotFound):
        return f"it wants the template {error.message}, which is not there"
    message = str(error.msg if type(error) is SyntaxError else error).strip().rstrip(".")
    return f"it {message}" if isinstance(error, Exceeded) else message or type(error).__name__


def _decline(message: object = "") -> None:
    raise TemplateRaised(str(message))


def _now(form: str) -> str:
    return datetime.now().strftime(form)


def _json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """JSON as transformers writes it: as it is, where Jinja's own would escape for HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
