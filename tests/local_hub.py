"""A Hub on this machine: the few addresses that uploading and fetching a model call.

Run as a script it writes its address and keeps what it is given below the folder of its argument.
"""

import base64
import hashlib
import json
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml

COMMIT = "a" * 40
FOLDER = Path(sys.argv[1])


def stored(repo_id):
    folder = FOLDER / repo_id
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


class Hub(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, content, status=200, **headers):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        path, own = self.path.partition("?")[0], f"http://{self.headers['Host']}"
        if self.headers.get("Authorization") != "Bearer secret":
            self.answer({"error": "Invalid username or password."}, 401)
        elif path == "/api/validate-yaml":
            yaml.safe_load(json.loads(body)["content"].split("---\n")[1])
            self.answer({"errors": [], "warnings": []})
        elif path == "/api/repos/create":
            repo_id = "me/" + json.loads(body)["name"]
            (FOLDER / repo_id).mkdir(parents=True, exist_ok=True)
            self.answer({"url": f"{own}/{repo_id}"})
        elif found := re.fullmatch(r"/api/models/(.+)/preupload/main", path):
            files = json.loads(body)["files"]
            modes = {"uploadMode": "regular", "shouldIgnore": False}
            self.answer({"files": [{"path": file["path"], **modes} for file in files]})
        elif found := re.fullmatch(r"/api/models/(.+)/commit/main", path):
            for line in body.splitlines():
                item = json.loads(line)
                if item["key"] == "file":
                    content = base64.b64decode(item["value"]["content"])
                    file = FOLDER / found[1] / item["value"]["path"]
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_bytes(content)
            self.answer({"commitUrl": f"{own}/{found[1]}/commit/{COMMIT}", "commitOid": COMMIT})
        else:
            self.answer({"error": path}, 404)

    def do_GET(self):
        path = self.path.partition("?")[0]
        if found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/[^/]+/(.+)", path):
            file = FOLDER / found[1] / found[2]
            if file.is_file():
                content = file.read_bytes()
                tag = f'"{hashlib.sha1(content).hexdigest()}"'
                return self.answer(content, ETag=tag, X_Repo_Commit=COMMIT)
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(/revision/.+)?", path):
            files = stored(found[1])
            if files:
                siblings = [{"rfilename": name} for name in files]
                return self.answer({"id": found[1], "sha": COMMIT, "siblings": siblings})
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/.+", path):
            folder = FOLDER / found[1]
            rows = [
                {"type": "file", "path": name, "size": (folder / name).stat().st_size, "oid": "0"}
                for name in stored(found[1])
            ]
            return self.answer(rows)
        return self.answer({"error": path}, 404, X_Error_Code="RepoNotFound")

    do_HEAD = do_GET  # noqa: N815 - the name that http.server calls


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    sys.stdout.write(f"http://127.0.0.1:{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()
