"""One model from the Hugging Face Hub into its cache: only the files that are needed, each whole or not there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from gemmalocal.errors import FAILED, ModelError
from gemmalocal.files import atomic, staging
from gemmalocal.files.sizes import size
from gemmalocal.planning import hardware
from gemmalocal.records import Tell
from gemmalocal.workspace import model_names

SETTINGS = ("*.json", "*.jinja", "tokenizer.model")
PAPERS = ("README.md", "LICENSE*", "NOTICE*")
WEIGHTS = ("*.safetensors",)  # never pickles, and GGUF only by name
MARGIN = 200_000_000  # bytes of the disk that are left free
UNIT = 1_000_000  # progress counts megabytes


class FetchFailed(ModelError):
    """A download that broke off, or that has no room: the model itself may well be there."""

    code = FAILED


class LoginWanted(ModelError):
    """A gated model without a token, or with one that the Hub does not take."""


class TermsWanted(ModelError):
    """A gated model whose terms the owner of the token has not accepted."""


def fetch(name: str, progress: Tell, weights: bool = True, gguf: str | None = None) -> Path:
    """Download a model and return its folder in the Hub's cache, or with `gguf` only that file of it, and return that.

    Without `weights`: the tokenizer and the configuration. Files that the cache holds whole are not loaded again; of
    one that breaks off nothing is kept. `progress` is given megabytes, and may raise to stop. Raises `ModelError` for
    what the Hub does not have or give, and `FetchFailed` for a download that broke off or has no room.
    """
    from huggingface_hub import hf_hub_download

    _sweep(name)
    patterns = PAPERS if gguf else (*SETTINGS, *PAPERS, *(WEIGHTS if weights else ()))
    with _explained(name):
        commit, all_sizes = _listing(name)
        needed = {file: size for file, size in all_sizes.items() if file == gguf or _matches(file, patterns)}
        _check_kind(name, all_sizes, needed, weights, gguf)
        missing = {file for file in needed if not _cached(name, file, commit, needed[file])}
        _check_space(name, sum(needed[file] for file in missing))
        total = sum(needed.values())
        done = total - sum(needed[file] for file in missing)
        paths: dict[str, Path] = {}
        for file in sorted(needed, key=lambda file: (needed[file], file)):  # a refusal shows on a small file
            bar = _bar(name, done, total, progress)
            paths[file] = Path(hf_hub_download(name, file, revision=commit, tqdm_class=bar))
            done += needed[file] if file in missing else 0
    if gguf:
        return paths[gguf]
    folder = paths["config.json"].parent
    _point_main_at(folder)
    return folder


def _matches(file: str, patterns: tuple[str, ...]) -> bool:
    """Whether a file is one of these at the top of the repository: folders hold other formats."""
    return "/" not in file and any(fnmatch(file, pattern) for pattern in patterns)


def _listing(name: str) -> tuple[str, dict[str, int]]:
    """The commit of a model's main branch, and its files with their sizes in bytes."""
    from huggingface_hub import HfApi

    info = HfApi().model_info(name, files_metadata=True)
    return str(info.sha), {file.rfilename: file.size or 0 for file in info.siblings or []}


def _check_kind(name: str, all_sizes: dict[str, int], needed: dict[str, int], weights: bool, gguf: str | None) -> None:
    quantized = sorted(file for file in all_sizes if file.endswith(".gguf"))
    if gguf:
        if gguf not in needed:
            raise ModelError(f"{name} has no file {gguf}.", f"It has: {', '.join(quantized) or 'no GGUF file'}.")
    elif "config.json" not in needed or (weights and not any(file.endswith(".safetensors") for file in needed)):
        hint = "Take a repository with config.json and safetensors; pickled weights are never loaded."
        if quantized:
            hint = f"Take one of its GGUF files: gemmalocal fetch {name} --gguf {quantized[0]}"
        raise ModelError(f"{name} holds no safetensors model.", hint)


def _sweep(name: str) -> None:
    """Remove what killed downloads of a model left: huggingface_hub begins a file anew, under a lock that we ask."""
    from huggingface_hub import constants

    cache, repository = Path(constants.HF_HUB_CACHE), f"models--{name.replace('/', '--')}"
    for partial_file in (cache / repository / "blobs").glob("*.incomplete"):
        if not staging.is_held(cache / ".locks" / repository / f"{partial_file.name.partition('.')[0]}.lock"):
            staging.discard(partial_file)


def _cached(name: str, file: str, commit: str, size: int) -> bool:
    """Whether the cache holds a file whole; one of another size than the Hub's is removed, so that it comes again."""
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(name, file, revision=commit)
    if not isinstance(cached, str):
        return False
    if size and Path(cached).stat().st_size != size:
        for path in (Path(cached).resolve(), Path(cached)):
            path.unlink(missing_ok=True)
        return False
    return True


def _check_space(name: str, needed: int) -> None:
    from huggingface_hub import constants

    cache = Path(constants.HF_HUB_CACHE).absolute()
    _, free = hardware.room(cache)
    if needed + MARGIN > free:
        raise FetchFailed(
            f"{name} takes {size(needed)} more, and {cache} has {size(free)} free.",
            "Make room, or move the cache with HF_HOME.",
        )


def _bar(name: str, start: int, total: int, progress: Tell) -> Any:
    """The class that huggingface_hub wants for its bar: it passes the bytes of one file on, and draws nothing in a log.

    `start` and `total` are the bytes before this file and of all files.
    """
    from huggingface_hub.utils.tqdm import tqdm

    class Bar(tqdm):
        done = start

        def update(self, n: float | None = 1) -> None:
            self.done += int(n or 0)
            progress(name, self.done // UNIT, total // UNIT)

    return Bar


def _point_main_at(snapshot: Path) -> None:
    """Make the cache's `main` this commit, so that it is found by name without the network."""
    refs = snapshot.parent.parent / "refs"
    refs.mkdir(exist_ok=True)
    atomic.write_text(refs / "main", snapshot.name, shared=True)  # the cache is everybody's


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """What the Hub's client raises, as a sentence and a remedy."""
    from huggingface_hub import errors, get_token
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # of httpx or httpx2, as it has it

    try:
        yield
    except errors.OfflineModeIsEnabled as error:
        raise ModelError(
            f"{name} is not on this disk, and HF_HUB_OFFLINE forbids the network.",
            "Unset HF_HUB_OFFLINE, or give a folder. What is here: gemmalocal models",
        ) from error
    except errors.GatedRepoError as error:
        page = model_names.page(name)
        if get_token() is None:
            raise LoginWanted(
                f"{name} is gated, and no token is here.", f"Accept its terms at {page}, then: gemmalocal login"
            ) from error
        raise TermsWanted(
            f"{name} is gated, and the owner of your token has not accepted its terms.",
            f"Accept them at {page}, logged in as the owner of the token (gemmalocal whoami), and try again.",
        ) from error
    except errors.RepositoryNotFoundError as error:
        hint = "Check the name: gemmalocal models lists the published ones. A private one needs: gemmalocal login"
        raise ModelError(f"The Hub has no model '{name}' that you may see.", hint) from error
    except errors.HFValidationError as error:
        raise ModelError(f"'{name}' cannot be a name on the Hub.", "Give it as owner/name.") from error
    except errors.HfHubHTTPError as error:
        raise _refused(name, error) from error
    except (HTTPError, errors.LocalEntryNotFoundError, OSError, RuntimeError) as error:
        raise FetchFailed(
            f"The download of {name} broke off: {_first_line(error)}",
            "Check the network and give the same command again: files that were finished are kept.",
        ) from error


def _refused(name: str, error: Any) -> ModelError:
    if error.response.status_code == 401:
        return LoginWanted("The Hub does not take your token.", "Get a new one: gemmalocal login")
    return FetchFailed(
        f"The Hub answered {error.response.status_code} for {name}.",
        "Try again later: files that were finished are kept.",
    )


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
