"""Programs that begin as forks of a process that has imported what they need: a tenth of a second instead of one.

For tests whose processes must be processes, but not new interpreters: while a test has the fixture `forks`
(tests/conftest.py), `subprocess.Popen` forks a server (tests/fork_server.py), for everyone in the test's process: the
test, the code it tests, and libraries. What is no interpreter is started as ever. A fork's memory, and what /proc says
of its start, are the server's: tests of those take real interpreters.
"""

from __future__ import annotations

import inspect
import json
import os
import secrets
import select
import socket
import subprocess
import sys
from collections.abc import Sequence
from io import FileIO
from subprocess import Popen  # as it is before any test has forks
from typing import Any

AS_EVER = {name: vars(Popen)[name] for name in ("_execute_child", "_internal_poll", "_try_wait")}
STARTED = inspect.signature(AS_EVER["_execute_child"])
WAYS = ("-m", "-c", "-u")  # of what to run; unbuffered comes before one of the others
PYTHON = "PYTHON"  # how the variables begin that an interpreter reads as it starts


class ForkServer:
    """A process that has imported an engine, and forks; it ends with this object, or with this process."""

    def __init__(self, engine: str) -> None:
        self.address = f"\0gemmalocal-forks-{engine}-{os.getpid()}-{secrets.token_hex(4)}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            listener.bind(self.address)
            listener.listen()
            command = [sys.executable, "-m", "tests.fork_server", str(listener.fileno()), engine]
            self._process = Popen(command, stdin=subprocess.PIPE, pass_fds=[listener.fileno()])

    def ended(self) -> bool:
        """Whether it can fork no more."""
        return self._process.poll() is not None

    def close(self) -> None:
        """No more; those that there are live on."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def fork(address: str, request: dict[str, Any], descriptors: Sequence[int]) -> int:
    """The process of a new fork of a server, which becomes what the request asks for."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asked:
        asked.connect(address)
        socket.send_fds(asked, [json.dumps(request | {"address": address}).encode()], descriptors)
        return int(asked.recv(64))


def popen(address: str) -> type[Popen[Any]]:
    """A `Popen` that forks a server where it is to start this interpreter."""

    class Forked(Popen[Any]):
        _told: FileIO | None = None  # where the server tells the end; None for what is no fork

        def _execute_child(self, *given: Any, **named: Any) -> None:
            call = STARTED.bind(self, *given, **named).arguments
            if not _can_fork(call):
                AS_EVER["_execute_child"](self, *given, **named)
                return
            pipes = [call[name] for name in ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")]
            streams = [pipe if pipe >= 0 else place for place, pipe in enumerate((pipes[0], pipes[3], pipes[5]))]
            reading, writing = os.pipe()
            self._told = FileIO(reading)
            try:
                self.pid = fork(address, _asked(call), [*streams, *call["pass_fds"], writing])
            finally:
                os.close(writing)
            self._child_created = True
            self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]

        def _internal_poll(self, *given: Any, **named: Any) -> Any:
            if self._told is None:
                return AS_EVER["_internal_poll"](self, *given, **named)
            if self.returncode is None and select.select([self._told], [], [], 0)[0]:
                self._handle_exitstatus(_status(self._told))  # type: ignore[attr-defined]
            return self.returncode

        def _try_wait(self, wait_flags: int) -> Any:
            if self._told is None:
                return AS_EVER["_try_wait"](self, wait_flags)
            if wait_flags & os.WNOHANG and not select.select([self._told], [], [], 0)[0]:
                return 0, 0
            return self.pid, _status(self._told)

    return Forked


def fork_everywhere(address: str) -> None:
    """For a fork: whoever has `Popen` already forks too."""
    forked = popen(address)
    for name in ("_told", *AS_EVER):
        setattr(Popen, name, vars(forked)[name])


def _status(told: FileIO) -> int:
    return int(told.read() or 9 << 8)  # nothing is told by a server that is gone


def _asked(call: dict[str, Any]) -> dict[str, Any]:
    """What the fork is to become, in JSON's words."""
    return {
        "words": [os.fspath(word) for word in call["args"][1:]],
        "environment": dict(os.environ if call["env"] is None else call["env"]),
        "folder": os.path.abspath(call["cwd"] or os.getcwd()),
        "session": call["start_new_session"],
        "umask": call["umask"],
        "places": [0, 1, 2, *call["pass_fds"]],
    }


def _can_fork(call: dict[str, Any]) -> bool:
    """Whether it is this interpreter with a module or a program, as it would be started here."""
    words, environment = call["args"], os.environ if call["env"] is None else call["env"]
    return (
        isinstance(words, list | tuple)
        and len(words) > 1
        and words[0] == sys.executable
        and words[1] in WAYS
        and not call["shell"]
        and call["executable"] in (None, sys.executable)
        and call["preexec_fn"] is None
        and _of_python(environment) == _of_python(os.environ)
    )


def _of_python(environment: Any) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(PYTHON)}
