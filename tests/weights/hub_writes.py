"""The stand-in for the Hub, with what the real client asks when it logs in and when it uploads.

Recorded from huggingface_hub 2.4: GET /api/whoami-v2, POST /api/repos/create, POST /api/validate-yaml, then for each
file POST /api/models/ID/preupload/main and, for a large one, POST /ID.git/info/lfs/objects/batch and PUT of its bytes;
last POST /api/models/ID/commit/main with lines of JSON.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.weights import hub_server
from tests.weights.hub_server import COMMIT, PIECE, Hub, Repository

LARGE = (".safetensors", ".gguf", ".parquet")  # what the Hub keeps outside of git
DEVICE = {"device_code": "hf_device", "user_code": "ABCD-1234", "interval": 0, "expires_in": 60}
ACCOUNTS: dict[str, dict[str, Any]] = {
    "hf_writer": {"name": "me", "role": "write", "orgs": [{"name": "club", "roleInOrg": "write"}]},
    "hf_reader": {"name": "me", "role": "read", "orgs": []},
    "hf_narrow": {"name": "me", "role": "fineGrained", "orgs": []},  # with no right to any repository
    "hf_browser": {"name": "me", "role": None, "orgs": []},
}


@dataclass
class Published(Hub):
    """A hub that can be written to: large files by their hash, and those that are in no commit yet too."""

    stored: dict[str, bytes] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)  # hashes of large files that came whole
    cuts: int = 0  # so many uploads break after their first piece
    refusals: dict[str, tuple[int, str]] = field(default_factory=dict)  # by the end of a path: status and message
    pending: int = 1  # how often a browser's login is not there yet

    def put(self) -> list[str]:
        """The large files whose upload was begun, by their hash."""
        return [path.rpartition("/")[2] for method, path in self.requests if method == "PUT"]


def running() -> AbstractContextManager[Published]:
    """A hub that listens on a free port until the end of the block."""
    return hub_server.running(Published(), _Handler)


class _Handler(hub_server.Handler):
    hub: Published
    known = ACCOUNTS

    def do_GET(self) -> None:
        if urlsplit(self.path).path != "/api/whoami-v2":
            super().do_GET()
            return
        self.hub.requests.append(("GET", "/api/whoami-v2"))
        account = ACCOUNTS.get(self.token)
        if account is None:
            self.refuse(401, "", "Invalid credentials in Authorization header")
            return
        role = {"accessToken": {"role": account["role"], "displayName": "t"}} if account["role"] else {"type": "oauth"}
        self.json({"name": account["name"], "orgs": account["orgs"], "auth": role})

    def do_POST(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(("POST", path))
        body = self.rfile.read(int(self.headers["Content-Length"]))
        refusal = next((what for end, what in self.hub.refusals.items() if end in path), None)
        if path.startswith("/oauth/"):
            self._oauth(path)
        elif refusal:
            self.refuse(refusal[0], "", refusal[1])
        elif self.token not in ACCOUNTS:
            self.refuse(401, "", "Invalid username or password.")
        elif path == "/api/validate-yaml":
            self.json({"errors": [], "warnings": []})
        elif ACCOUNTS[self.token]["role"] in ("read", "fineGrained"):
            self.refuse(403, "", "Forbidden: you don't have the rights to write here.")
        elif path == "/api/repos/create":
            self._create(json.loads(body))
        elif match := re.fullmatch(r"/api/(?:models|datasets)/([^/]+/[^/]+)/(preupload|commit)/main", path):
            getattr(self, f"_{match.group(2)}")(self.hub.repositories[match.group(1)], body)
        elif re.fullmatch(r"/(?:datasets/)?([^/]+/[^/]+)\.git/info/lfs/objects/batch", path):
            self._batch(json.loads(body))
        else:
            self.refuse(404, "EntryNotFound", f"The stand-in knows no {path}")

    def do_PUT(self) -> None:
        path = urlsplit(self.path).path
        self.hub.requests.append(("PUT", path))
        length = int(self.headers["Content-Length"])
        content = self.rfile.read(min(PIECE, length))
        if length > PIECE:
            self.hub.gate.wait()  # `running` opens it at its end
            if self.hub.cuts:
                self.hub.cuts -= 1
                self.close_connection = True
                self.connection.close()
                return
        with suppress(ConnectionError):
            content += self.rfile.read(length - len(content))
        name = path.rpartition("/")[2]
        if hashlib.sha256(content).hexdigest() != name:
            self.close_connection = True  # it broke off on the client's side
            return
        self.hub.stored[name] = content
        self.hub.sent.append(name)
        self.json({})

    def _create(self, asked: dict[str, Any]) -> None:
        name = f"{asked['organization']}/{asked['name']}"
        if name in self.hub.repositories:
            self.refuse(409, "", "You already created this repo")
            return
        private = asked.get("visibility") == "private"
        self.hub.repositories[name] = Repository({}, private=private, kind=asked.get("type", "model"))
        self.json({"url": f"{self.hub.url}/{name}", "name": name})

    def _preupload(self, repository: Repository, body: bytes) -> None:
        files = []
        for file in json.loads(body)["files"]:
            mode = "lfs" if file["path"].endswith(LARGE) else "regular"
            found = {"path": file["path"], "uploadMode": mode, "shouldIgnore": False}
            if (content := repository.files.get(file["path"])) is not None:
                plain = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
                found["oid"] = hashlib.sha256(content).hexdigest() if mode == "lfs" else plain
            files.append(found)
        self.json({"files": files})

    def _batch(self, asked: dict[str, Any]) -> None:
        objects = []
        for one in asked["objects"]:
            action = {"upload": {"href": f"{self.hub.url}/large/{one['oid']}"}}
            objects.append(one | ({} if one["oid"] in self.hub.stored else {"actions": action}))
        self.json({"transfer": "basic", "objects": objects})

    def _commit(self, repository: Repository, body: bytes) -> None:
        lines = [json.loads(line) for line in body.splitlines()]
        for line in lines:
            if line["key"] == "file":
                repository.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            elif line["key"] == "lfsFile":
                repository.files[line["value"]["path"]] = self.hub.stored[line["value"]["oid"]]
        place = self.path.removeprefix("/api/models/").removeprefix("/api/").rpartition("/commit/")[0]
        self.json({"commitUrl": f"{self.hub.url}/{place}/commit/{COMMIT}", "commitOid": COMMIT})

    def _oauth(self, path: str) -> None:
        if path == "/oauth/device":
            self.json({**DEVICE, "verification_uri": f"{self.hub.url}/device"})
        elif self.hub.pending:
            self.hub.pending -= 1
            self.json({"error": "authorization_pending"}, 400)
        else:
            self.json({"access_token": "hf_browser", "refresh_token": "hf_again", "expires_in": 10**7})
