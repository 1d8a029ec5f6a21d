"""A real HTTP server on loopback that speaks the OpenAI format by script, and captions."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from fmri_descriptors import RewriteSettings

GRAPH = (
    "Network strength is below the typical range in Parietal (8.89, z -1.84). It is within the "
    "typical range in Temporal, Visual. Modularity is 0.27 (z 0.32), within the typical range. "
    "Average clustering coefficient is 0.28 (z -1.07), below the typical range."
)
PROSE = (
    "In this scan, network strength lies below the typical range in Parietal (8.89, z -1.84), "
    "whereas it remains within the typical range in Visual and Temporal. Modularity is found to be "
    "within the typical range, with a value of 0.27 (z = 0.32). In contrast, the average "
    "clustering coefficient, 0.28 (z -1.07), falls below its typical range."
)


AT_ONCE = {"Retry-After-Ms": "1"}


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    raw: str
    at: float

    @property
    def body(self):
        return json.loads(self.raw)

    @property
    def asked(self):
        """The text that was to be rewritten."""
        return self.body["messages"][-1]["content"]


@dataclass
class ChatServer:
    """Answers request number n, of body b, with what `script(n, b)` gives.

    A string is the model's words; (status, headers, text) is a response as it is; a number is a
    status without words.
    """

    script: Callable = field(default=lambda n, body: PROSE)
    requests: list[Request] = field(default_factory=list)
    url: str = ""

    def settings(self, **changes):
        quick = {"timeout_seconds": 5.0, "concurrency": 1}
        return RewriteSettings(base_url=self.url, model="writer", **quick | changes)


def completion(words, finish="stop"):
    return json.dumps(
        {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": "writer",
            "choices": [
                {
                    "index": 0,
                    "finish_reason": finish,
                    "message": {"role": "assistant", "content": words},
                }
            ],
            "usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150},
        }
    )


@pytest.fixture(name="completion")
def _completion():
    return completion


@pytest.fixture
def chat_server():
    server = ChatServer()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            raw = self.rfile.read(int(self.headers["content-length"])).decode()
            with lock:
                number = len(server.requests)
                request = Request(self.path, dict(self.headers), raw, time.monotonic())
                server.requests.append(request)
            reply = server.script(number, request.body)
            if isinstance(reply, str):
                reply = (200, {}, completion(reply))
            elif isinstance(reply, int):
                reply = (reply, AT_ONCE, '{"error": {"message": "as the script says"}}')
            self.respond(*reply)

        def respond(self, status, headers, text):
            data = text.encode()
            try:
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
            except OSError:
                self.close_connection = True  # the client did not wait

        def log_message(self, *_):
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    server.url = f"http://127.0.0.1:{http.server_port}/v1"
    yield server
    http.shutdown()
    http.server_close()
    thread.join()


@pytest.fixture
def graph():
    """A caption of one domain."""
    return GRAPH


@pytest.fixture
def prose():
    """The same caption as a good writer would put it."""
    return PROSE


@pytest.fixture
def captions(tmp_path):
    """Write a captions.jsonl of the same text about some scans and return its path."""

    def make(n=3, text=GRAPH, domain="graph"):
        path = tmp_path / "template.jsonl"
        lines = [
            {"scan_id": f"sub-{i:02d}", "domain": domain, "text": text, "source": "template"}
            for i in range(n)
        ]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        return path

    return make
