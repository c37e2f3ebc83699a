"""Files into a repository of the Hub: what it has by its hash is not sent again, so an upload that was cut goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal, NamedTuple

from gemmalocal.errors import USAGE
from gemmalocal.export.publish import UploadFile
from gemmalocal.records import Tell
from gemmalocal.weights import account
from gemmalocal.weights.account import HubRefused

RepositoryKind = Literal["model", "dataset"]
UNIT = 1_000  # progress counts kilobytes


class Sent(NamedTuple):
    """What was sent: the repository's address, whether it is new, and whether only its owner sees it."""

    url: str
    created: bool
    private: bool


def check_name(name: str) -> None:
    """Raise `HubRefused` for what cannot be a repository's name (owner/name); the network is not asked."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        if name.count("/") != 1:
            raise HFValidationError
        validate_repo_id(name)
    except HFValidationError as error:
        raise HubRefused(f"'{name}' cannot be a name on the Hub.", "Give it as owner/name.", USAGE) from error


def send(
    name: str, kind: RepositoryKind, uploads: Sequence[UploadFile], private: bool, message: str, tell: Tell
) -> Sent:
    """Create the repository if it is not there, and make one commit of all files, with this message.

    `tell` is given kilobytes, and may raise to stop: then nothing is committed, and what was sent whole is kept.
    Raises `HubRefused`, also for a repository that is public where it was to be `private`.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    api = HfApi()
    total_bytes, sent_bytes = sum(upload.size for upload in uploads), 0
    with account.explained(f"sending to {name}"):
        created, hidden = _repository(api, name, kind, private)
        operations = [CommitOperationAdd(upload.name, _source(upload)) for upload in uploads]
        for upload, operation in zip(uploads, operations, strict=True):
            tell(upload.name, sent_bytes // UNIT, total_bytes // UNIT)
            with _counted(partial(_tell, tell, upload, sent_bytes, total_bytes)):
                api.preupload_lfs_files(name, [operation], repo_type=kind, free_memory=False)
            sent_bytes += upload.size
        tell("committing", total_bytes // UNIT, total_bytes // UNIT)
        api.create_commit(name, operations, commit_message=message, repo_type=kind)
    prefix = "datasets/" if kind == "dataset" else ""
    return Sent(f"{api.endpoint}/{prefix}{name}", created, hidden)


def _tell(tell: Tell, upload: UploadFile, earlier: int, total_bytes: int, sent: int) -> None:
    """Of `sent` bytes of an item; one that is tried again is sent more than once."""
    tell(upload.name, (earlier + min(sent, upload.size)) // UNIT, total_bytes // UNIT)


def _source(upload: UploadFile) -> Any:
    return upload.content if isinstance(upload.content, bytes) else str(upload.content)


def _repository(api: Any, name: str, kind: RepositoryKind, private: bool) -> tuple[bool, bool]:
    """Whether it was created now, and whether it is private; never one that is public where it was to be private."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        repository = api.repo_info(name, repo_type=kind)
    except RepositoryNotFoundError:
        api.create_repo(name, repo_type=kind, private=True if private else None)
        return True, private
    if private and not repository.private:
        raise HubRefused(
            f"{name} is there already, and public.", "Make it private in its settings, or take a new name."
        )
    return False, bool(repository.private)


@contextmanager
def _counted(tell: Callable[[int], None]) -> Iterator[None]:
    """Tell the bytes of one file that were sent so far, inside of the block.

    huggingface_hub takes a bar of ours for downloads only. For uploads these are what it moves on, one for each of its
    protocols (LFS and Xet); where a later version has them no more, a file is told when it is whole.
    """
    from huggingface_hub.utils import _xet_progress_reporting as theirs

    sent: int | None = 0  # of LFS; None once Xet, which moves bars of that class too, has reported

    def add(count: float | None = 1) -> None:
        nonlocal sent
        if sent is not None:
            sent += int(count or 0)
            tell(sent)

    def set_total(group: Any, *files: Any) -> None:
        nonlocal sent
        sent = None
        tell(group.total_bytes_completed)

    bar, report = getattr(theirs, "tqdm", None), getattr(theirs, "XetUploadProgressReporter", None)
    with _called_first(bar, "update", add), _called_first(report, "update_progress", set_total):
        yield


@contextmanager
def _called_first(owner: Any, method: str, callback: Callable[..., None]) -> Iterator[None]:
    """Have `callback` called with what a method of a class is called with, before it."""
    original = getattr(owner, method, None)

    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        callback(*args, **kwargs)
        return original(self, *args, **kwargs)  # type: ignore[misc]

    if original is None:
        yield
        return
    setattr(owner, method, wrapped)
    try:
        yield
    finally:
        setattr(owner, method, original)
