"""What the protocol allows in a request, and what of it is asked of an engine.

A field that is null is a field that was not sent. Those of `DROPPED` change no answer, or would hand the server to
whoever asks: templates, adapters, other models. Everything else that is unknown is refused by name.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from gemmalocal.serving import schemas
from gemmalocal.serving.engine import EngineLimits, GenerationRequest, Refused
from gemmalocal.serving.messages import ChatMessage, Tool, named

DEFAULT_TOKENS = 1024  # tokens of an answer where a request does not say how many
GREEDY = 1e-3  # temperatures below are none: dividing by them overflows
MOST_CHOICES = 128
FUNCTION = "function "
STOPS, STOP_LETTERS = 16, 1000
BIASES = 1024
DROPPED = {
    *("user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"),
    *("reasoning_effort", "verbosity", "cache_prompt"),
    *("chat_template", "role_mapping", "adapters", "draft_model", "num_draft_tokens", "lora"),
}  # fmt: skip


def _stops(value: Any) -> list[str]:
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(word, str) and word for word in words):
        raise ValueError("a text, or a list of texts, none of them empty")
    if len(words) > STOPS or any(len(word) > STOP_LETTERS for word in words):
        raise ValueError(f"at most {STOPS} texts of {STOP_LETTERS} letters")
    return words


def _prompts(value: Any) -> list[str | list[int]]:
    if isinstance(value, str) or (isinstance(value, list) and value and _are_ids(value)):
        return [value]
    if not isinstance(value, list) or not all(isinstance(item, str) or _are_ids(item) for item in value):
        raise ValueError("a text, a list of token ids, or a list of those")
    if not 0 < len(value) <= MOST_CHOICES:
        raise ValueError(f"from 1 to {MOST_CHOICES} prompts")
    if [] in value:
        raise ValueError("a prompt of token ids has one at least")
    return value


def _are_ids(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int for item in value)


def _biases(value: Any) -> dict[int, float]:
    if not isinstance(value, dict) or len(value) > BIASES:
        raise ValueError(f"an object of at most {BIASES} token ids")
    if not all(key.isascii() and key.isdigit() and len(key) < 10 for key in value):
        raise ValueError("its names are token ids")
    if not all(type(bias) in (int, float) and -100 <= bias <= 100 for bias in value.values()):
        raise ValueError("its values are numbers from -100 to 100")
    return {int(key): float(bias) for key, bias in value.items()}


def _tool_choice(value: Any) -> str:
    """The choice as a word; of a function that has to be called, `FUNCTION` and its name."""
    if value in ("none", "auto", "required"):
        return str(value)
    function = value.get("function") if isinstance(value, dict) and value.get("type") == "function" else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str) or not name:
        raise ValueError('none, auto, required, or {"type": "function", "function": {"name": ...}}')
    return FUNCTION + name


class _StreamOptions(BaseModel):
    model_config = ConfigDict(strict=True)
    include_usage: bool = False


class Request(BaseModel):
    """The fields of both kinds."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())
    model: str = ""
    stream: bool = False
    stream_options: _StreamOptions = _StreamOptions()
    n: int = Field(1, ge=1, le=MOST_CHOICES)
    stop: Annotated[list[str], BeforeValidator(_stops)] = []
    temperature: float = Field(0.0, ge=0, le=2)
    top_p: float = Field(1.0, ge=0, le=1)
    top_k: int = Field(0, ge=0, le=2**31 - 1)
    min_p: float = Field(0.0, ge=0, le=1)
    repetition_penalty: float = Field(1.0, gt=0, le=10)
    presence_penalty: float = Field(0.0, ge=-2, le=2)
    frequency_penalty: float = Field(0.0, ge=-2, le=2)
    logit_bias: Annotated[dict[int, float], BeforeValidator(_biases)] = {}
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)

    def _ask(self, choice: int, **more: Any) -> GenerationRequest:
        """The ask of one of its choices: each has a seed of its own."""
        cold = self.temperature < GREEDY
        return GenerationRequest(
            temperature=0.0 if cold else self.temperature,
            top_p=self.top_p,
            top_k=self.top_k,
            min_p=self.min_p,
            repetition_penalty=self.repetition_penalty,
            presence_penalty=self.presence_penalty,
            frequency_penalty=self.frequency_penalty,
            logit_bias=self.logit_bias,
            seed=None if cold or self.seed is None else (self.seed + choice) % 2**32,
            **more,
        )


class CompletionRequest(Request):
    """POST /v1/completions."""

    prompt: Annotated[list[str | list[int]], BeforeValidator(_prompts)]
    max_tokens: int = Field(DEFAULT_TOKENS, ge=0, lt=2**31)
    echo: bool = False
    logprobs: int | None = Field(None, ge=0, le=20)
    best_of: int = Field(1, ge=1, le=MOST_CHOICES)
    suffix: Literal[""] = ""

    @model_validator(mode="after")
    def _check_together(self) -> CompletionRequest:
        if len(self.prompt) * self.n > MOST_CHOICES:
            raise ValueError(f"'n' times the number of prompts is more than {MOST_CHOICES}")
        if self.best_of not in (1, self.n):
            raise ValueError("'best_of' has to be what 'n' is: this server does not choose among answers")
        return self

    def asks(self) -> list[GenerationRequest]:
        """One for each choice, prompt by prompt."""
        shared = {"max_tokens": max(1, self.max_tokens), "top": self.logprobs}
        scores = self.echo and self.logprobs is not None
        choices = [(prompt, choice) for prompt in self.prompt for choice in range(self.n)]
        return [self._ask(choice, prompt=prompt, scores=scores, **shared) for prompt, choice in choices]


class ChatRequest(Request):
    """POST /v1/chat/completions."""

    messages: list[ChatMessage] = Field(min_length=1, max_length=4096)
    max_tokens: int | None = Field(None, ge=1, lt=2**31)
    max_completion_tokens: int | None = Field(None, ge=1, lt=2**31)
    logprobs: bool = False
    top_logprobs: int = Field(0, ge=0, le=20)
    tools: list[Tool] = Field([], max_length=128)
    tool_choice: Annotated[str, BeforeValidator(_tool_choice)] = "auto"
    parallel_tool_calls: bool = True
    response_format: dict[str, Any] = {}
    chat_template_kwargs: dict[str, Any] = {}
    modalities: list[Literal["text"]] = []

    @model_validator(mode="after")
    def _check_together(self) -> ChatRequest:
        if self.top_logprobs and not self.logprobs:
            raise ValueError("'top_logprobs' needs 'logprobs' to be true")
        return self

    def asks(self) -> list[GenerationRequest]:
        """One for each choice."""
        tools = [] if self.tool_choice == "none" else [tool.model_dump(exclude_none=True) for tool in self.tools]
        thinking = self.chat_template_kwargs.get("enable_thinking")  # all else would be the server's own settings
        shared = {
            "messages": named([message.plain() for message in self.messages]),
            "tools": tools or None,
            "must_call": bool(tools) and self.tool_choice != "auto",
            "called": self.tool_choice.removeprefix(FUNCTION) if self.tool_choice.startswith(FUNCTION) else "",
            "one_call": not self.parallel_tool_calls,
            "schema": self.response_format if self.response_format.get("type", "text") != "text" else None,
            "thinking": thinking if isinstance(thinking, bool) else None,
            "max_tokens": self.max_completion_tokens or self.max_tokens or DEFAULT_TOKENS,
            "top": self.top_logprobs if self.logprobs else None,
        }
        return [self._ask(choice, **shared) for choice in range(self.n)]


def parse(kind: type[CompletionRequest] | type[ChatRequest], body: dict[str, Any]) -> CompletionRequest | ChatRequest:
    """Raises `Refused` with the first thing that is wrong."""
    sent = {name: value for name, value in body.items() if value is not None and name not in DROPPED}
    try:
        return kind.model_validate(sent)
    except ValidationError as error:
        raise _refused(error) from None


def check(request: CompletionRequest | ChatRequest, limits: EngineLimits) -> None:
    """Raise `Refused` for what this engine cannot bear or do."""
    _check_ids(request.logit_bias, limits, "logit_bias")
    if isinstance(request, CompletionRequest):
        for prompt in request.prompt:
            _check_ids(prompt if isinstance(prompt, list) else (), limits, "prompt")
        return
    tools = [] if request.tool_choice == "none" else request.tools
    if tools and limits.grammar is None:
        raise Refused("This model's chat template knows no tools.", param="tools")
    if request.tool_choice not in ("none", "auto") and not limits.forces_tools:
        raise Refused(
            "This server cannot make a model call: 'tool_choice' may be none or auto. A run served without --form can.",
            param="tool_choice",
        )
    names = [FUNCTION + tool.function.name for tool in tools]
    if request.tool_choice not in ("none", "auto", *names, *(["required"] if tools else [])):
        raise Refused("What 'tool_choice' wants to be called is not among the 'tools'.", param="tool_choice")
    for tool in tools:
        schemas.check(tool.function.parameters or {}, "tools")
    _check_format(request.response_format, limits)


def _check_format(response_format: dict[str, Any], limits: EngineLimits) -> None:
    kind = response_format.get("type", "text")
    if kind not in ("text", "json_object", "json_schema"):
        raise Refused("Invalid value for 'response_format': no such type.", param="response_format")
    if kind != "text" and not limits.schemas:
        raise Refused(
            "This server does not hold answers to JSON. An export to GGUF, served with --form, does.",
            param="response_format",
        )
    if kind == "json_schema":
        holder = response_format.get("json_schema")
        schemas.check(holder.get("schema") if isinstance(holder, dict) else None, "response_format")


def _check_ids(ids: Any, limits: EngineLimits, param: str) -> None:
    if any(not 0 <= number < limits.vocabulary for number in ids):
        raise Refused(f"Invalid '{param}': token ids lie from 0 to {limits.vocabulary - 1}.", param=param)


def _refused(error: ValidationError) -> Refused:
    problem = error.errors(include_url=False, include_input=False)[0]
    path = [str(part) for part in problem["loc"] if "[" not in str(part)]  # the others are pydantic's, of unions
    path_text = ".".join(path)[:100]
    field = path_text or None
    if problem["type"] == "extra_forbidden":
        return Refused(f"Unrecognized request argument supplied: {path_text}", param=field, code="unknown_parameter")
    if problem["type"] == "missing":
        return Refused(f"Missing required parameter: '{path_text}'.", param=field, code="missing_required_parameter")
    reason = str(problem["ctx"]["error"]) if problem["type"] == "value_error" else problem["msg"].lower()
    message = f"Invalid value for '{path_text}': {reason}." if path_text else f"{reason}."
    return Refused(message, param=field, code="invalid_value")
