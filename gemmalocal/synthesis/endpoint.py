"""A server that speaks OpenAI's chat protocol, asked by HTTP: what goes wrong is said, retried where that helps.

Nothing but the named address is contacted, redirects are not followed, and the key is in the request's header only:
where a server repeats it, in an error, an answer or a model's name, it is blotted out before anything is cut or kept.
"""

from __future__ import annotations

import email.utils
import json
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import Any

import httpx2

from gemmalocal.errors import EndpointError
from gemmalocal.jobs.plurals import counted
from gemmalocal.synthesis.asking import Answer, Prompt, Unanswered, Usage
from gemmalocal.synthesis.secret import Secret

TRIES = 4
LONGEST_WAIT = 120.0  # seconds that a server's Retry-After may ask for
IN_A_ROW = 4  # prompts without an answer, after which the endpoint is given up
LOCAL = ("localhost", "127.0.0.1", "::1", "0.0.0.0")
LONGEST_MESSAGE = 500  # letters of an error
LONGEST = 4 * 2**20  # letters of an answer: no row is as long
MOST = 2**31  # tokens that a server may say it counted
BROKEN = "The server's JSON breaks off, or is not an answer of a model."


class RequestFailed(Exception):
    """A request that failed; `retry` if it may do better after `wait` seconds (None: as long as is usual)."""

    def __init__(self, reason: str, wait: float | None = None, retry: bool = True) -> None:
        super().__init__(reason)
        self.wait, self.retry = wait, retry


class ExtraRefused(Exception):
    """A request was refused that had an `extra` key, which not all servers know."""

    def __init__(self, extra: str) -> None:
        super().__init__(extra)
        self.extra = extra


class Endpoint:
    """An `AskModel`. `model` None asks the server what it has; one that does not say is asked without a name."""

    def __init__(
        self,
        url: str,
        model: str | None = None,
        key: str = "",
        concurrency: int = 4,
        timeout: float = 120,
        settings: dict[str, Any] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`settings` go into each request as they are (temperature, max_tokens, seed)."""
        self.url = url.rstrip("/").removesuffix("/chat/completions")
        self.url += "" if self.url.endswith("/v1") else "/v1"
        self._secret, self._concurrency, self._settings, self._sleep = Secret(key), concurrency, settings or {}, sleep
        headers = {"Authorization": f"Bearer {self._secret.key}"} if self._secret.key else {}
        local = httpx2.URL(self.url).host in LOCAL  # a proxy is for what is elsewhere
        self._client = httpx2.Client(timeout=httpx2.Timeout(timeout, connect=10), headers=headers, trust_env=not local)
        self._extras = frozenset({"response_format", "stream_options"})  # those not yet refused
        self.model = model or self._listed()
        self.title = _title(self._secret.clean(self.model or ""))  # what may be told and kept

    def __call__(self, prompts: Iterable[Prompt]) -> Iterator[tuple[int, Answer | Unanswered]]:
        """Ask a few at a time; raises `EndpointError` when nothing more is to be hoped for.

        An iteration that is ended early lets the requests in flight come to their end.
        """
        waiting = iter(enumerate(prompts))
        in_flight: dict[Future[Answer], int] = {}
        failed = 0
        with ThreadPoolExecutor(self._concurrency) as pool:
            while True:
                while len(in_flight) < self._concurrency and (item := next(waiting, None)):
                    in_flight[pool.submit(self._answer, item[1])] = item[0]
                if not in_flight:
                    return
                for future in wait(in_flight, return_when=FIRST_COMPLETED).done:
                    index = in_flight.pop(future)
                    try:
                        answer: Answer | Unanswered = future.result()
                        failed = 0
                    except RequestFailed as trouble:
                        answer, failed = Unanswered(str(trouble)), failed + 1
                        if failed >= IN_A_ROW:
                            hint = "Answers so far are kept: the same command goes on from here."
                            raise EndpointError(
                                f"{trouble} {counted(failed, 'prompt')} in a row got no answer.", hint
                            ) from trouble
                    yield index, answer

    def close(self) -> None:
        """Break off the requests in flight."""
        self._client.close()

    def _answer(self, prompt: Prompt) -> Answer:
        """One prompt's answer; raises `RequestFailed` after `TRIES` failures, `EndpointError` if no request can do."""
        tries, dropped = 0, frozenset[str]()
        while True:
            try:
                answer = self._request(prompt, self._extras - dropped)
                self._extras -= dropped  # it was these that the server did not know
                return replace(answer, text=self._secret.clean(answer.text))
            except ExtraRefused as refusal:
                dropped |= {refusal.extra}
            except RequestFailed as trouble:
                tries += 1
                if tries == TRIES or not trouble.retry:
                    message = self._secret.clean(str(trouble))[:LONGEST_MESSAGE]
                    raise RequestFailed(message) from None  # the log shows what an error came from
                self._sleep(trouble.wait if trouble.wait is not None else 2.0**tries)

    def _request(self, prompt: Prompt, extras: frozenset[str]) -> Answer:
        body = {**self._body(prompt), **_extra_keys(prompt, extras)}
        try:
            with self._client.stream("POST", f"{self.url}/chat/completions", json=body) as response:
                if response.status_code in (400, 415, 422) and (sent := extras & body.keys()):
                    message = self._error_message(response)
                    raise ExtraRefused(next((extra for extra in sent if extra in message), min(sent)))
                self._check(response)
                return _streamed(response) if _is_stream(response) else _whole(response)
        except httpx2.ConnectError as error:
            hint = "Start the server, or check --endpoint; answers so far are kept."
            raise EndpointError(f"Nothing answers at {self.url}.", hint) from error
        except httpx2.TimeoutException as error:
            raise RequestFailed(f"{self.url} did not answer in time, or stopped in the middle of an answer.") from error
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            raise RequestFailed(f"The connection to {self.url} broke: {self._secret.clean(str(error))}.") from error

    def _body(self, prompt: Prompt) -> dict[str, Any]:
        turns = [{"role": message.role, "content": message.content} for message in prompt.messages]
        model = {"model": self.model} if self.model else {}
        return {"messages": turns, "stream": True, **self._settings, **model}

    def _check(self, response: httpx2.Response) -> None:
        """Raise what a status, or a web page in place of an answer, means."""
        status = response.status_code
        if status in (401, 403):
            unsaid = "--key-env names the environment variable that holds the key."
            hint = "Check the key." if self._secret.key else unsaid
            raise EndpointError(f"{self.url} refuses access ({status}).", hint)
        if status in range(300, 400):
            message = f"{self.url} names another address ({status}). The key and the texts were not sent there."
            raise EndpointError(message, "If you trust that address, name it instead.")
        if _is_page(response) and status != 429 and status < 500:  # else a proxy says that the server is not up to it
            message = f"{self.url} answers with a web page ({status}), as a model's server does not."
            raise EndpointError(message, "Check the address: most end in /v1.")
        if status == 404:
            message = f"{self.url} does not know this model or path: {self._error_message(response)}"
            raise EndpointError(message, "Check --endpoint-model, and that the address ends in /v1.")
        if status == 429:
            seconds = _seconds(response.headers.get("retry-after"))
            if seconds is not None and seconds > LONGEST_WAIT:
                hint = "Answers so far are kept: the same command goes on from here."
                raise EndpointError(f"{self.url} asks us to wait {seconds:.0f} seconds (429).", hint)
            raise RequestFailed(f"{self.url} was asked too often (429).", seconds)
        if status >= 500:
            raise RequestFailed(f"{self.url} failed ({status}): {self._error_message(response)}")
        if status != 200:  # such as a passage that is longer than the model's context
            raise RequestFailed(
                f"{self.url} refuses the request ({status}): {self._error_message(response)}", retry=False
            )

    def _listed(self) -> str | None:
        """The first model that the server lists; None if it does not say (mlx_lm.server may drop the connection)."""
        try:
            with self._client.stream("GET", f"{self.url}/models", timeout=10) as response:
                return str(json.loads(_read(response))["data"][0]["id"]) if response.status_code == 200 else None
        except (httpx2.HTTPError, RequestFailed, ValueError, LookupError, TypeError):
            return None

    def _error_message(self, response: httpx2.Response) -> str:
        """What the server says about its error, on one line."""
        if _is_page(response):
            return "it sends a web page"
        try:
            text = _read(response).decode("utf-8", "replace")
            error = json.loads(text)
            error = error.get("error", error) if isinstance(error, dict) else error
            text = str(error.get("message", error)) if isinstance(error, dict) else str(error)
        except httpx2.HTTPError:
            return "it does not say why"
        except ValueError:
            pass
        return " ".join(self._secret.clean(text).split())[:200] or "it does not say why"


def _extra_keys(prompt: Prompt, extras: frozenset[str]) -> dict[str, Any]:
    """What a request holds of what the server knows: the form of its answer, and that tokens are counted."""
    schema = {"name": "rows", "schema": prompt.schema, "strict": True}
    form = {"response_format": {"type": "json_schema", "json_schema": schema}} if prompt.schema is not None else {}
    keys = {**form, "stream_options": {"include_usage": True}}
    return {key: value for key, value in keys.items() if key in extras}


def _is_page(response: httpx2.Response) -> bool:
    return response.headers.get("content-type", "").startswith("text/html")


def _is_stream(response: httpx2.Response) -> bool:
    return response.headers.get("content-type", "").startswith("text/event-stream")


def _streamed(response: httpx2.Response) -> Answer:
    """A streamed answer; comments are passed over, an end without its mark is `RequestFailed`."""
    pieces, length, ended, usage = list[str](), 0, False, None
    for event in httpx2.EventSource(response):
        if event.data.strip() == "[DONE]":
            return Answer("".join(pieces), usage)
        completion = _completion(event.data)
        choice = _choice(completion)
        pieces.append(str((choice.get("delta") or {}).get("content") or ""))
        length += len(pieces[-1])
        if length > LONGEST:
            raise RequestFailed("The answer does not end.", retry=False)
        usage = _usage(completion) or usage
        ended = ended or choice.get("finish_reason") is not None
    if not ended:
        raise RequestFailed("The answer broke off.")
    return Answer("".join(pieces), usage)


def _whole(response: httpx2.Response) -> Answer:
    completion = _completion(_read(response).decode("utf-8", "replace"))
    return Answer(str((_choice(completion).get("message") or {}).get("content") or ""), _usage(completion))


def _read(response: httpx2.Response) -> bytes:
    """The body; raises `RequestFailed` for one that does not end."""
    body = bytearray()
    for block in response.iter_bytes():
        body += block
        if len(body) > LONGEST:
            raise RequestFailed("The answer does not end.", retry=False)
    return bytes(body)


def _title(model: str) -> str:
    """A model's name without the folders of the machine that it lies on; the Hub's owner/name stays."""
    path = model.startswith(("/", "~", ".", "file:")) or "\\" in model or model[1:2] == ":" or model.count("/") > 1
    return model.replace("\\", "/").rstrip("/").rpartition("/")[2] if path else model


def _completion(text: str) -> dict[str, Any]:
    """A completion, or a chunk of one; raises `RequestFailed`."""
    try:
        completion = json.loads(text)
        if error := completion.get("error"):
            raise RequestFailed(f"The server failed in the middle of its answer: {error}")
        return dict(completion)
    except (ValueError, TypeError, AttributeError) as error:
        raise RequestFailed(BROKEN) from error


def _choice(completion: dict[str, Any]) -> dict[str, Any]:
    """The first choice of a completion, an empty one where a chunk has none, as with usage; raises `RequestFailed`."""
    try:
        choices = completion["choices"]
        return dict(choices[0]) if choices else {}
    except (ValueError, LookupError, TypeError) as error:
        raise RequestFailed(BROKEN) from error


def _usage(completion: dict[str, Any]) -> Usage | None:
    """The tokens that a server counted, if it did."""
    usage = completion.get("usage")
    if not isinstance(usage, dict):
        return None
    details = usage.get("prompt_tokens_details")
    cached = (details.get("cached_tokens") if isinstance(details, dict) else 0) or 0
    counts = [usage.get("prompt_tokens"), usage.get("completion_tokens"), cached]
    whole = [count for count in counts if type(count) is int and 0 <= count < MOST]
    return Usage(*whole) if len(whole) == len(counts) else None


def _seconds(value: str | None) -> float | None:
    """A Retry-After header, in seconds or as a date, to seconds from now."""
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        parsed = email.utils.parsedate_tz(value)
        return max(0.0, email.utils.mktime_tz(parsed) - time.time()) if parsed else None
