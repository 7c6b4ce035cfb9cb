"""A decision point over Cedar or Rego, as the gateway asks it (OpenID AuthZEN, Authorization API 1.0).

It listens on a loopback port, prints {"url": …} when it is ready, and runs until it is stopped. Neither engine speaks AuthZEN: here
is what translates. `GET /__control/log` has every question and its decision.
"""

import argparse
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).parent
MAX_BODY = 1 << 20


def engine(name):
    """A function from a question to a decision."""
    if name == "cedar":
        from cedar_engine import decider

        return decider(HERE / "tasks.cedar")
    from rego_engine import decider

    return decider(HERE / "tasks.rego")


def merged(batch, one):
    """A question of a batch, with what all of them share."""
    return {key: one.get(key, batch.get(key)) for key in ("subject", "action", "resource", "context")}


class Handler(BaseHTTPRequestHandler):
    """Answers the two endpoints of the API."""

    protocol_version = "HTTP/1.1"
    decide = None
    token = None
    asked = []

    def do_GET(self):
        if self.path == "/__control/log":
            return self.answer(200, type(self).asked)
        return self.answer(404, {"error": "unknown path"})

    def do_POST(self):
        length = int(self.headers.get("content-length", "0"))
        if length > MAX_BODY:
            return self.answer(413, {"error": "too large"})
        body = self.rfile.read(length)
        if self.token and self.headers.get("authorization") != f"Bearer {self.token}":
            return self.answer(401, {"error": "wrong token"})
        try:
            question = json.loads(body)
            if self.path == "/access/v1/evaluation":
                return self.answer(200, self.decision(question))
            if self.path == "/access/v1/evaluations":
                each = [self.decision(merged(question, one)) for one in question["evaluations"]]
                return self.answer(200, {"evaluations": each})
        except (KeyError, TypeError, ValueError) as error:
            return self.answer(400, {"error": f"{type(error).__name__}: {error}"})
        return self.answer(404, {"error": "unknown path"})

    def decision(self, question):
        decision = bool(type(self).decide(question))
        type(self).asked.append({"question": question, "decision": decision})
        return {"decision": decision}

    def answer(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """The log of requests is /__control/log."""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=["cedar", "rego"], required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--token", help="the bearer token that is required")
    options = parser.parse_args()
    sys.path.insert(0, str(HERE))
    Handler.decide = staticmethod(engine(options.engine))
    Handler.token = options.token
    server = ThreadingHTTPServer(("127.0.0.1", options.port), Handler)
    server.daemon_threads = True
    print(json.dumps({"url": f"http://127.0.0.1:{server.server_port}"}), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
