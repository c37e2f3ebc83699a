"""Who we are on the Hub: huggingface_hub's token store and login, and its refusals as sentences.

A token is never returned, printed or written by us.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from io import TextIOBase
from typing import Any

from gemmalocal.errors import FAILED, USAGE, ModelError

TOKENS = "https://huggingface.co/settings/tokens"
LOGIN = f"gemmalocal login, with a token that may write: {TOKENS}"
VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


class HubRefused(ModelError):
    """The Hub, or the way to it, refused: `code` is 1 if the same may go well later, 2 or 3 if something is missing."""

    def __init__(self, message: str, hint: str, code: int = ModelError.code) -> None:
        super().__init__(message, hint)
        self.code = code


@dataclass(frozen=True)
class Account:
    """The owner of the token: `role` of the token is read, write, fineGrained or empty (a browser's login).

    `organizations` are names to the owner's role there; `source` says where the token is kept.
    """

    name: str
    role: str
    source: str
    organizations: dict[str, str] = field(default_factory=dict)

    def check(self, repository: str) -> None:
        """Raise `HubRefused` if the token cannot write into the repository of that name (owner/name).

        Roles are those of `whoami`: the network is not asked.
        """
        owner = repository.partition("/")[0].lower()
        roles = {self.name.lower(): "admin", **{name.lower(): role for name, role in self.organizations.items()}}
        if self.role == "read":
            raise HubRefused("Your token may only read.", f"Get one that may write at {TOKENS}, then: gemmalocal login")
        if owner not in roles:
            owners = ", ".join([self.name, *self.organizations])
            raise HubRefused(
                f"{repository} would be somebody else's: you are {self.name}.",
                f"Take a name that begins with: {owners}",
            )
        if roles[owner] == "read":
            raise HubRefused(f"You may only read in {owner}.", "Ask one of its admins for the role of a contributor.")


def whoami() -> Account:
    """Ask the Hub whose token this is; raises `HubRefused` without a token, and if the Hub cannot be reached."""
    from huggingface_hub import HfApi

    with explained("asking who you are"):
        reply = HfApi().whoami()
    token = (reply.get("auth") or {}).get("accessToken") or {}
    organizations = {
        organization["name"]: str(organization.get("roleInOrg") or "") for organization in reply.get("orgs") or []
    }
    return Account(reply["name"], str(token.get("role") or ""), _source(), organizations)


def login(token: str) -> Account:
    """Have a token checked by the Hub and kept in huggingface_hub's store; raises `HubRefused`."""
    import huggingface_hub

    if not token:
        raise HubRefused("No token was given.", f"Get one at {TOKENS}.", USAGE)
    with explained("logging in"):
        try:
            huggingface_hub.login(token)
        except ValueError as error:
            raise HubRefused(str(error).splitlines()[0], f"Get a personal one at {TOKENS}.", USAGE) from error
    return whoami()


def login_by_browser(say: Callable[[str], None]) -> Account:
    """Log in on a page of the Hub (device codes, RFC 8628), and wait until that is done; raises `HubRefused`.

    `say` is given the lines to show, the page's address and the code among them; it may raise to stop.
    """
    import huggingface_hub

    with explained("logging in"), redirect_stdout(_LineStream(say)):
        try:  # without a terminal it asks for nothing, and prints an address and a code
            huggingface_hub.login(skip_if_logged_in=False)
        except EOFError as error:
            hint = "pip install -U huggingface_hub, or log in with a token."
            raise HubRefused("This huggingface_hub cannot log in by a browser.", hint) from error
    return whoami()


def logout() -> str:
    """Forget all tokens of huggingface_hub's store; returns a sentence on a token that is left elsewhere, or ""."""
    import huggingface_hub

    try:
        huggingface_hub.logout()
    except OSError as error:  # no git, or a token in the environment, after the store was emptied
        if variable := _variable():
            return f"The store is empty, but {variable} holds a token: unset it."
        return "" if isinstance(error, FileNotFoundError) else str(error).splitlines()[0]
    return ""


@contextmanager
def explained(activity: str) -> Iterator[None]:
    """Raise what the Hub's client raises in the block as `HubRefused`; `activity` ("logging in") is told with it."""
    from huggingface_hub import errors
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # of httpx or httpx2, as it has it

    try:
        yield
    except errors.OfflineModeIsEnabled as error:
        raise HubRefused("HF_HUB_OFFLINE forbids the network.", "Unset HF_HUB_OFFLINE for this command.") from error
    except errors.LocalTokenNotFoundError as error:
        raise HubRefused("No token of the Hub is here.", LOGIN) from error
    except errors.DeviceCodeError as error:
        raise HubRefused(
            f"The browser's login failed: {error}", "Try again, or log in with a token.", FAILED
        ) from error
    except errors.HfHubHTTPError as error:
        raise refused(activity, error) from error
    except (HTTPError, OSError) as error:
        raise _broke_off(activity, error) from error
    except (RuntimeError, ValueError) as error:  # an upload's worker wraps its errors, LFS gives its own
        cause = error.__cause__
        raise (refused if isinstance(cause, errors.HfHubHTTPError) else _broke_off)(activity, cause or error) from error


def refused(activity: str, error: Any) -> HubRefused:
    """The error for a response of the Hub (huggingface_hub's `HfHubHTTPError`), by its HTTP status."""
    status, reason = error.response.status_code, (error.server_message or "").strip().rstrip(".")
    if status == 401:
        precedence = f"The one in {variable} goes before the stored one." if (variable := _variable()) else ""
        return HubRefused("The Hub does not take your token.", f"Get a new one: gemmalocal login. {precedence}".strip())
    if status == 403:
        return HubRefused(
            f"The Hub forbids {activity}: {reason or 'your token has no right to it'}.",
            f"Give the token the right to write there ({TOKENS}), and accept the terms that the Hub names there.",
        )
    if status in (404, 409):
        message = f"The Hub could not go on with {activity}: {reason or error}."
        return HubRefused(message, "Look at the name, and try again.")
    if status == 413:
        return HubRefused(
            f"The Hub finds it too large while {activity}.",
            "Push a smaller form: --form gguf with fewer bits, or adapter.",
        )
    if status == 429:
        return HubRefused("The Hub wants fewer requests.", "Try again in some minutes.", FAILED)
    detail = f": {reason}" if reason else ""
    return HubRefused(f"The Hub answered {status} while {activity}{detail}.", RETRY_HINT, FAILED)


RETRY_HINT = "Check the network and give the same command again: what was sent whole is kept."


def _broke_off(activity: str, error: BaseException) -> HubRefused:
    first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return HubRefused(f"The connection to the Hub broke off while {activity}: {first_line}", RETRY_HINT, FAILED)


def _variable() -> str:
    return next((name for name in VARIABLES if os.environ.get(name)), "")


def _source() -> str:
    return _variable() or "huggingface_hub's store"


class _LineStream(TextIOBase):
    """A stream that passes on whole lines; a line that grows, such as dots, is passed on each time as it began."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say, self._rest = say, ""

    def write(self, text: str) -> int:
        """Take text; at once, since `say` may stop what writes."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in [*lines, self._rest.rstrip(".")]:
            if line.strip():
                self._say(line.strip())
        return len(text)
