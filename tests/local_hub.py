"""A hub on this machine: the few addresses of the Hugging Face Hub that its client calls to upload a folder.

Files are sent as the client decides: small ones in the commit, large ones by the protocol of Git LFS.
"""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Hub:
    """What the server has been sent."""

    endpoint: str = ""
    token: str = "hf_test"
    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    stored: dict[str, bytes] = field(default_factory=dict)
    """Large files by their sha256."""
    commits: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    refuse: bool = False


@contextmanager
def local_hub() -> Iterator[Hub]:
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(hub))
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") == "chunked":
                content = b""
                while size := int(self.rfile.readline(), 16):
                    content += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return content
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def answer(self, value: Any, status: int = 200) -> None:
            content = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            hub.calls.append(f"GET {path}")
            name = "/".join(path.removeprefix("/api/models/").split("/")[:2])
            files = hub.repositories.get(name)
            if files is None:
                self.answer({"error": "Repository not found"}, 404)
            elif "/tree/" in path:
                self.answer([{"type": "file", "path": one, "size": len(x), "oid": "0"} for one, x in files.items()])
            else:
                self.answer({"id": name, "sha": "0" * 40, "siblings": [{"rfilename": one} for one in files]})

        def do_PUT(self) -> None:
            hub.calls.append("PUT")
            content = self.body()
            hub.stored[self.path.rpartition("/")[2]] = content
            self.answer({})

        def do_POST(self) -> None:
            path = self.path.partition("?")[0]
            hub.calls.append(f"POST {path}")
            content = self.body()
            if hub.refuse or self.headers.get("Authorization") != f"Bearer {hub.token}":
                self.answer({"error": "Invalid username or password."}, 401)
            elif path == "/api/validate-yaml":  # of the card
                self.answer({"errors": [], "warnings": []})
            elif path == "/api/repos/create":
                asked = json.loads(content)
                name = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else asked["name"]
                if name in hub.repositories:
                    self.answer({"error": "You already created this model repo", "url": f"{hub.endpoint}/{name}"}, 409)
                    return
                hub.repositories.setdefault(name, {})
                self.answer({"url": f"{hub.endpoint}/{name}", "name": name, "id": name})
            elif path.endswith("/objects/batch"):
                objects = [
                    {
                        "oid": one["oid"],
                        "size": one["size"],
                        "actions": {"upload": {"href": f"{hub.endpoint}/lfs/{one['oid']}"}},
                    }
                    for one in json.loads(content)["objects"]
                ]
                self.answer({"transfer": "basic", "objects": objects})
            elif "/preupload/" in path:
                files = json.loads(content)["files"]
                kinds = [
                    {
                        "path": one["path"],
                        "uploadMode": "lfs" if one["path"].endswith(".safetensors") else "regular",
                        "shouldIgnore": False,
                    }
                    for one in files
                ]
                self.answer({"files": kinds})
            elif "/commit/" in path:
                name = "/".join(path.removeprefix("/api/models/").split("/")[:2])
                self.commit(hub.repositories[name], content)
                url = f"{hub.endpoint}/{name}/commit/{'0' * 40}"
                self.answer({"commitUrl": url, "commitOid": "0" * 40, "success": True})
            else:
                self.answer({"error": f"no such address: {path}"}, 404)

        def commit(self, files: dict[str, bytes], content: bytes) -> None:
            for row in (json.loads(one) for one in content.splitlines()):
                value = row["value"]
                if row["key"] == "header":
                    hub.commits.append(value["summary"])
                elif row["key"] == "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                elif row["key"] == "lfsFile":
                    stored = hub.stored[value["oid"]]
                    assert hashlib.sha256(stored).hexdigest() == value["oid"]
                    files[value["path"]] = stored
                elif row["key"] == "deletedFile":
                    del files[value["path"]]

    return Handler
