"""A daemon that records what a client sends and answers just enough for `create` to succeed."""

import http.server
import json
import os
import socketserver
import threading


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def address_string(self):
        return "unix"

    def _body(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while True:
                size = int(self.rfile.readline().strip() or b"0", 16)
                parts.append(self.rfile.read(size))
                self.rfile.readline()
                if size == 0:
                    return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer(self, status, document):
        body = (json.dumps(document) + "\n").encode()
        self.send_response(status)
        self.send_header("Api-Version", "1.50")
        self.send_header("Ostype", "linux")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _serve(self):
        body = self._body()
        path = self.path
        if path.startswith("/v1."):
            path = "/" + path[1:].partition("/")[2]
        if path.endswith("/_ping"):
            return self._answer(200, "OK")
        self.server.requests.append((self.command, path, body.decode()))
        for (method, prefix), (status, document) in self.server.answers.items():
            if method == self.command and path.startswith(prefix):
                return self._answer(status, document)
        if path.startswith("/containers/create"):
            return self._answer(201, {"Id": "c0ffee" * 10 + "abcd", "Warnings": []})
        if path.startswith("/info") or path.startswith("/version"):
            return self._answer(200, {})
        return self._answer(404, {"message": "no such route: " + path})

    do_GET = do_POST = do_DELETE = do_HEAD = do_PUT = _serve


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class RecordingDaemon:
    """with RecordingDaemon(path) as daemon: ...; daemon.take() gives and forgets the requests."""

    def __init__(self, path, answers=None):
        self.path = path
        if os.path.exists(path):
            os.unlink(path)
        self._server = _Server(path, _Handler)
        self._server.requests = []
        self._server.answers = answers or {}
        self.host = "unix://" + path

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        os.unlink(self.path)

    def take(self):
        requests, self._server.requests = self._server.requests, []
        return requests
