"""A TCP proxy in front of a registry that counts what it passes on to the client, and holds it back or cuts it off."""
import contextlib
import socket
import threading

CHUNK = 16 * 1024


class CuttingProxy:
    """`cut_after`: each connection ends after so many bytes, `cuts` times; `quota`: nothing goes beyond so many bytes
    in all. `passed` are the bytes that went, `made` the cuts."""

    def __init__(self, target, cut_after=None, cuts=0, quota=None):
        self.target = target.split(":")
        self.cut_after, self.cuts, self.quota = cut_after, cuts, quota
        self.passed = self.made = 0
        self.changed = threading.Condition()
        self.clients = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, CHUNK)
            self.clients.append(client)
            server = socket.create_connection((self.target[0], int(self.target[1])))
            threading.Thread(target=self.pass_requests, args=(client, server), daemon=True).start()
            threading.Thread(target=self.pass_answers, args=(server, client), daemon=True).start()

    def pass_requests(self, client, server):
        with contextlib.suppress(OSError):
            while data := client.recv(CHUNK):
                server.sendall(data)
        self.end(server)

    def end(self, *ends):
        for one in ends:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def pass_answers(self, server, client):
        here = 0
        with contextlib.suppress(OSError):
            while data := server.recv(CHUNK):
                limit = self.cut_after  # another connection may end it
                if limit:
                    data = data[:limit - here]
                with self.changed:
                    self.changed.wait_for(lambda: self.quota is None or self.passed < self.quota)
                client.sendall(data)
                here += len(data)
                with self.changed:
                    self.passed += len(data)
                    self.changed.notify_all()
                    if limit and here == limit and self.made < self.cuts:
                        self.made += 1
                        if self.made == self.cuts:
                            self.cut_after = None
                        break
        self.end(server, client)

    def drop(self):
        """Ends the connections there are: what waits for the quota never goes."""
        self.end(*self.clients)
        self.clients.clear()

    def allow(self, quota):
        with self.changed:
            self.quota = quota
            self.changed.notify_all()

    def wait_for(self, passed, timeout=60):
        with self.changed:
            return self.changed.wait_for(lambda: self.passed >= passed, timeout)

    def close(self):
        self.allow(None)
        self.listener.close()
