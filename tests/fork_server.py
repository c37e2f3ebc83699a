"""A process that has imported much and computed nothing: for each request it forks, and the fork becomes a program.

    python -m tests.fork_server DESCRIPTOR ENGINE

DESCRIPTOR is the number of the listening socket, which it is passed open.
`tests/forks.py` starts it and asks it.
"""

from __future__ import annotations

import atexit
import fcntl
import gc
import json
import os
import runpy
import select
import signal
import socket
import sys
import threading
import traceback
from contextlib import suppress
from importlib import import_module
from io import BufferedReader, BufferedWriter, FileIO, TextIOWrapper
from types import ModuleType
from typing import Any, NoReturn

from gemmalocal.backends import open_backend
from tests.forks import fork_everywhere

COMMON = ("gemmalocal.cli", *(f"gemmalocal.pipelines.{kind}" for kind in ("train", "prepare", "export")), "numpy.ma")
LONGEST = 1 << 17  # bytes of a request, most of which are its environment
MOST = 64  # descriptors with it
ABOVE = 512  # where descriptors wait for their places
HUB = "huggingface_hub"  # reads its variables, all of which begin so, when it is imported
HUBS = ("HF_", "HUGGING")


def serve(listener: socket.socket) -> None:
    """Fork until stdin ends. A request's last descriptor is where the end of its fork is told."""
    told: dict[int, int] = {}  # by process
    ended, wake = os.pipe()
    for end in (ended, wake):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        ready, _, _ = select.select([0, listener.fileno(), ended], [], [])
        if 0 in ready:
            return
        if ended in ready:
            os.read(ended, LONGEST)
            _tell_ends(told)
        if listener.fileno() in ready:
            asked, _ = listener.accept()
            with asked:
                request, descriptors, _, _ = socket.recv_fds(asked, LONGEST, MOST)
                if not request:  # who asked has gone
                    continue
                pid = os.fork()
                if not pid:
                    ours = [ended, wake, listener.fileno(), asked.fileno(), *told.values()]
                    _become(json.loads(request), descriptors, ours)
                told[pid] = descriptors.pop()
                for descriptor in descriptors:
                    os.close(descriptor)
                with suppress(OSError):  # who asked has gone
                    asked.send(str(pid).encode())


def _tell_ends(told: dict[int, int]) -> None:
    for pid in list(told):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            with suppress(BrokenPipeError):  # nobody waits for it
                os.write(told[pid], str(status).encode())
            os.close(told.pop(pid))


def _become(request: dict[str, Any], descriptors: list[int], ours: list[int]) -> NoReturn:
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if request["session"]:
            os.setsid()
        if request["umask"] >= 0:
            os.umask(request["umask"])
        for descriptor in [*ours, descriptors.pop()]:
            os.close(descriptor)
        _place(descriptors, request["places"])
        _surround(request["environment"], request["folder"])
        os.execv = _replaced  # type: ignore[assignment]
        fork_everywhere(request["address"])
        code = _ran(request["words"])
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)  # nothing may return into the server


def _place(descriptors: list[int], places: list[int]) -> None:
    """Each where the program expects it; standard streams are made anew of theirs."""
    waiting = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, ABOVE) for descriptor in descriptors]
    for descriptor in descriptors:
        os.close(descriptor)
    for descriptor, place in zip(waiting, places, strict=True):
        os.dup2(descriptor, place)
        os.close(descriptor)
    sys.stdin = TextIOWrapper(BufferedReader(FileIO(0, closefd=False)))
    sys.stdout = TextIOWrapper(BufferedWriter(FileIO(1, "w", closefd=False)))
    stderr = BufferedWriter(FileIO(2, "w", closefd=False))
    sys.stderr = TextIOWrapper(stderr, errors="backslashreplace", line_buffering=True)


def _surround(environment: dict[str, str], folder: str) -> None:
    """The environment and the folder of who asked; what has read other variables is imported anew."""
    if _of_the_hub(environment) != _of_the_hub(dict(os.environ)):
        for name in [name for name in sys.modules if name.partition(".")[0] == HUB]:
            del sys.modules[name]
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path[0] = folder


def _of_the_hub(environment: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(HUBS) or name == "HOME"}


def _replaced(path: str, words: list[str]) -> NoReturn:
    """In place of `os.execv`, which is only asked for this interpreter."""
    assert path == sys.executable
    os._exit(_ran(words[1:]))


def _ran(words: list[str]) -> int:
    """Run a module or a program as a new interpreter does; its exit code."""
    if words[0] == "-u":
        sys.stdout.reconfigure(write_through=True)  # type: ignore[union-attr]
        words = words[1:]
    way, what, *rest = words
    try:
        if way == "-m":
            sys.argv = [what, *rest]
            sys.modules.pop(what, None)
            runpy.run_module(what, run_name="__main__", alter_sys=True)
        else:
            sys.argv = [way, *rest]
            sys.modules["__main__"] = main = ModuleType("__main__")
            exec(compile(what, "<string>", "exec"), vars(main))
        code: Any = 0
    except SystemExit as end:
        code = end.code
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        traceback.print_exc()
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return code if isinstance(code, int) else int(code is not None)


def prepare(engine: str) -> None:
    """Import what programs of an engine need."""
    for module in COMMON:
        import_module(module)
    open_backend(engine)
    if engine == "torch":
        import_module("transformers.models.gemma3.modeling_gemma3")
        mapping = import_module("transformers.conversion_mapping")
        mapping.get_checkpoint_conversion_mapping("gemma3_text")  # it compiles and keeps a thousand patterns
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    _, descriptor, engine = sys.argv
    prepare(engine)
    serve(socket.socket(fileno=int(descriptor)))
