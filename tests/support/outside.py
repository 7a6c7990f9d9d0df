"""A network beyond the machine: a network namespace with a web server and a name server, and the
test's namespace as the only machine that it knows.

    outside = Outside(folder)   # serves the folder at http://deb.test/
    outside.close()
"""
import functools
import http.server
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading

ADDRESS, GATEWAY = "203.0.113.1", "203.0.113.2"  # ours is the gateway
NAME = "deb.test"


class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        if self.path != "/address":
            super().do_GET()
            return
        # Who asks, as seen from here.
        body = self.client_address[0].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def answer(query):
    """The address for an A question about NAME, no data for its other types, else no such name."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]])
        at += 1 + query[at]
    question = query[12:at + 5]
    known = b".".join(labels).decode(errors="replace").lower() == NAME
    wants_address = question[-4:] == b"\0\1\0\1"
    record = b""
    if known and wants_address:
        record = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton(ADDRESS)
    flags = b"\x81\x80" if known else b"\x81\x83"
    counts = b"\0\1" + (b"\0\1" if record else b"\0\0") + b"\0\0\0\0"
    return query[:2] + flags + counts + question + record


def serve_names(server):
    while True:
        query, sender = server.recvfrom(4096)
        server.sendto(answer(query), sender)


def serve(folder):
    names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    names.bind(("", 53))
    threading.Thread(target=serve_names, args=(names,), daemon=True).start()
    handler = functools.partial(Handler, directory=folder)
    server = http.server.ThreadingHTTPServer(("", 80), handler)
    print("ready", flush=True)
    server.serve_forever()


class Outside:
    def __init__(self, folder):
        self.process = subprocess.Popen(["unshare", "--net", sys.executable, __file__, folder],
                                        stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError("the outside did not start")
        there = ["nsenter", "--net", "--target", str(self.process.pid)]
        for command in (
                ["ip", "link", "add", "out0", "type", "veth", "peer", "name", "out1", "netns",
                 str(self.process.pid)],
                ["ip", "address", "add", f"{GATEWAY}/24", "dev", "out0"],
                ["ip", "link", "set", "out0", "up"],
                [*there, "ip", "address", "add", f"{ADDRESS}/24", "dev", "out1"],
                [*there, "ip", "link", "set", "out1", "up"],
                ["ip", "route", "add", "default", "via", ADDRESS]):
            subprocess.run(command, check=True)
        # The mount namespace is the test's own.
        handle, self.resolv_conf = tempfile.mkstemp()
        os.write(handle, f"nameserver {ADDRESS}\n".encode())
        os.close(handle)
        subprocess.run(["mount", "--bind", self.resolv_conf, "/etc/resolv.conf"], check=True)

    def close(self):
        subprocess.run(["umount", "/etc/resolv.conf"], check=True)
        pathlib.Path(self.resolv_conf).unlink()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


if __name__ == "__main__":
    serve(sys.argv[1])
