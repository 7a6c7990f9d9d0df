"""What the API does as HTTP, whatever the resource: versions, headers, errors, bodies, hostile
input, hang-ups, the ends of the engine."""
import datetime
import http.client
import json
import os
import signal
import socket
import stat
import subprocess
import time
import unittest

from support.engine import BIN, Engine

JSON = {"Content-Type": "application/json"}


def tearDownModule():
    Http.engine.close()


class Http(unittest.TestCase):
    engine = None

    @classmethod
    def setUpClass(cls):
        if Http.engine is None:
            Http.engine = Engine("--host", "tcp://127.0.0.1:24991", "--log-level", "debug")

    def message(self, method, path, body=None, headers=None):
        status, headers, text = self.engine.api(method, path, body, headers)
        self.assertEqual(headers["Content-Type"], "application/json", text)
        return status, json.loads(text)["message"]

    def raw(self, data, port=None):
        """Sends bytes, gives all that comes until the server closes or is silent for a second."""
        if port:
            peer = socket.create_connection(("127.0.0.1", port))
        else:
            peer = socket.socket(socket.AF_UNIX)
            peer.connect(str(self.engine.socket))
        with peer:
            peer.settimeout(1)
            try:
                peer.sendall(data)
            except (BrokenPipeError, ConnectionResetError):
                pass
            got = b""
            try:
                while piece := peer.recv(65536):
                    got += piece
            except (TimeoutError, ConnectionResetError):
                pass
            return got


class Versions(Http):
    def test_limits(self):
        self.assertEqual(self.message("GET", "/v1.51/info"), (
            400, "client version 1.51 is too new. Maximum supported API version is 1.50"))
        self.assertEqual(self.message("GET", "/v1.23/info"), (
            400, "client version 1.23 is too old. Minimum supported API version is 1.24, please "
                 "upgrade your client to a newer version"))
        for version in ("/v1.24", "/v1.50", ""):
            self.assertEqual(self.engine.api("GET", version + "/info")[0], 200)

    def test_unknown_paths(self):
        for method, path in [("GET", "/nope"), ("PUT", "/info"), ("GET", "/v1.43"), ("GET", "/"),
                             ("GET", "/v1.43/containers"), ("GET", "/../info"), ("BREW", "/info"),
                             ("GET", "/v1.43/../info"), ("GET", "/%2e%2e/info")]:
            with self.subTest(path=path, method=method):
                status, headers, text = self.engine.api(method, path)
                self.assertEqual(status, 404)
                self.assertEqual(json.loads(text), {"message": "page not found"})
                self.assertNotIn("Api-Version", headers)

    def test_since(self):
        self.assertEqual(self.engine.api("POST", "/v1.24/containers/prune")[0], 404)
        self.assertEqual(self.engine.api("POST", "/v1.25/containers/prune")[0], 200)


class Headers(Http):
    def test_every_reply(self):
        for path in ("/version", "/containers/nope/json", "/v1.99/info"):
            _, headers, _ = self.engine.api("GET", path)
            self.assertEqual(headers["Api-Version"], "1.50")
            self.assertEqual(headers["Ostype"], "linux")
            self.assertEqual(headers["Docker-Experimental"], "false")
            self.assertRegex(headers["Server"], r"^Docker/\S+ \(linux\)$")

    def test_version_names_the_commit(self):
        version = self.engine.json("GET", "/version")
        if os.path.exists(os.path.join(os.path.dirname(__file__), "../../.git")):
            self.assertRegex(version["GitCommit"], "^[0-9a-f]{7,}(-dirty)?$")
            datetime.datetime.fromisoformat(version["BuildTime"])
        self.assertEqual(version["Components"][0]["Details"]["GitCommit"], version["GitCommit"])

    def test_ping(self):
        status, headers, text = self.engine.api("GET", "/_ping")
        self.assertEqual((status, text), (200, b"OK"))
        self.assertEqual(headers["Content-Type"], "text/plain; charset=utf-8")
        self.assertEqual(headers["Cache-Control"], "no-cache, no-store, must-revalidate")
        self.assertEqual(headers["Pragma"], "no-cache")
        self.assertEqual(headers["Swarm"], "inactive")
        status, _, text = self.engine.api("HEAD", "/_ping")
        self.assertEqual((status, text), (200, b""))


class Bodies(Http):
    def create(self, body, headers=JSON):
        return self.message("POST", "/containers/create", body, headers)

    def test_malformed(self):
        self.assertEqual(self.create(b""), (400, "invalid JSON: got EOF while reading request body"))
        self.assertEqual(self.create(b"{}", {"Content-Type": "text/plain"}), (
            400, "unsupported Content-Type header (text/plain): must be 'application/json'"))
        for body in (b"{", b"{}{}", b"[]", b"nul", b'{"Image":1}', b"[" * 100_000,
                     b'{"a":' * 100_000, b'"\xff"'):
            status, message = self.create(body)
            self.assertEqual(status, 400, body[:20])
            self.assertIn("invalid JSON", message)

    def test_absent_image_is_404(self):
        self.assertEqual(self.create(b'{"Image":"nope"}'), (404, "No such image: nope:latest"))

    def test_too_large(self):
        self.assertEqual(self.create(b'"' + b"x" * 8_000_000 + b'"')[0], 400)

    def test_start_with_a_body(self):
        status, message = self.message("POST", "/containers/x/start", b"{}", JSON)
        self.assertEqual(status, 400)
        self.assertIn("non-empty request body was deprecated since API v1.22", message)

    def test_parameters(self):
        self.assertEqual(self.message("GET", "/containers/json?limit=x")[0], 400)
        self.assertEqual(self.message("GET", "/containers/json?filters=x")[0], 400)
        self.assertEqual(self.message("GET", '/containers/json?filters={"nope":{"a":true}}'),
                         (400, "invalid filter 'nope'"))
        self.assertEqual(self.message("GET", "/containers/json?a=%zz")[0], 400)
        for form in ('{"status":{"running":true}}', '{"status":["running"]}', "{}", ""):
            self.assertEqual(self.engine.json("GET", f"/containers/json?filters={form}"), [])


class Hostile(Http):
    HOST = b"Host: x\r\n"

    def assert_refused(self, data, status=b"400"):
        reply = self.raw(data)
        self.assertTrue(reply.startswith(b"HTTP/1.1 " + status), reply[:200])
        self.assertEqual(reply.count(b"HTTP/1.1 "), 1, reply[:500])

    def test_ambiguous_length(self):
        for fields in (b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
                       b"Content-Length: 3\r\nContent-Length: 4\r\n",
                       b"Transfer-Encoding: gzip, chunked\r\n", b"Content-Length: -1\r\n"):
            self.assert_refused(b"POST /containers/create HTTP/1.1\r\n" + self.HOST + fields +
                                b"\r\n0\r\n\r\nGET /info HTTP/1.1\r\n" + self.HOST + b"\r\n")

    def test_oversized_head(self):
        self.assert_refused(b"GET / HTTP/1.1\r\n" + self.HOST + b"X: " + b"a" * 200_000 +
                            b"\r\n\r\n", b"431")
        self.assert_refused(b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n", b"431")

    def test_garbage(self):
        self.assert_refused(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n")
        self.assert_refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        self.assert_refused(b"GET /info HTTP/1.1\r\n\r\n")
        self.assert_refused(b"GET /%00 HTTP/1.1\r\n" + self.HOST + b"\r\n")

    def test_still_answers(self):
        for _ in range(50):
            self.raw(os.urandom(500) + b"\r\n\r\n")
        self.assertEqual(self.engine.api("GET", "/_ping")[0], 200)

    def test_pipelined_requests(self):
        request = b"GET /_ping HTTP/1.1\r\n" + self.HOST + b"\r\n"
        self.assertEqual(self.raw(request * 3).count(b"HTTP/1.1 200 OK"), 3)


class Tcp(Http):
    PORT = 24991

    def get(self, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.PORT, timeout=5)
        connection.putrequest("GET", "/version", skip_host=True)
        for name, value in {"Host": "localhost", **headers}.items():
            connection.putheader(name, value)
        connection.endheaders()
        status = connection.getresponse().status
        connection.close()
        return status

    def test_browsers_are_refused(self):
        self.assertEqual(self.get(), 200)
        self.assertEqual(self.get(Host=f"127.0.0.1:{self.PORT}"), 200)
        self.assertEqual(self.get(Origin="http://localhost"), 403)
        self.assertEqual(self.get(Origin="null"), 403)
        self.assertEqual(self.get(Host="evil.example"), 403)

    def test_docker_over_tcp(self):
        run = self.engine.docker("-H", f"tcp://127.0.0.1:{self.PORT}", "version", env={
            "DOCKER_HOST": ""})
        self.assertIn("Coffer Engine", run.stdout)


class Events(Http):
    def test_head_comes_at_once_and_hang_up_ends(self):
        def threads():
            return len(os.listdir(f"/proc/{self.engine.process.pid}/task"))
        peers = []
        for _ in range(20):
            peer = socket.socket(socket.AF_UNIX)
            peer.settimeout(2)
            peer.connect(str(self.engine.socket))
            peer.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertIn(b"Transfer-Encoding: chunked", peer.recv(4096))
            peers.append(peer)
        during = threads()
        for peer in peers:
            peer.close()
        deadline = time.monotonic() + 5
        while threads() > during - 20 and time.monotonic() < deadline:
            time.sleep(0.02)
        self.assertLessEqual(threads(), during - 20)

    def test_bounded_by_time(self):
        status, _, text = self.engine.api("GET", "/events?since=1&until=2")
        self.assertEqual((status, text), (200, b""))
        soon = time.time() + 0.5
        self.assertEqual(self.engine.api("GET", f"/events?until={soon:.3f}")[0], 200)
        self.assertEqual(self.message("GET", "/events?since=5&until=4")[0], 400)
        self.assertEqual(self.message("GET", "/events?filters=nonsense")[0], 400)


class Ends(unittest.TestCase):
    """Engines of their own: how they start and end."""

    def setUp(self):
        self.engine = Engine(start=False)
        self.addCleanup(self.engine.close)

    def run_cofferd(self, *flags):
        return subprocess.run([BIN / "cofferd", *map(str, flags)], capture_output=True, text=True,
                              timeout=20)

    def test_socket_is_for_the_group_only(self):
        self.engine.start()
        status = self.engine.socket.stat()
        self.assertEqual(stat.S_IMODE(status.st_mode), 0o660)
        self.assertEqual(status.st_uid, 0)
        self.assertEqual(stat.S_IMODE(self.engine.data_root.stat().st_mode), 0o700)
        self.assertEqual(stat.S_IMODE(self.engine.exec_root.stat().st_mode), 0o700)

    def test_ends_at_once_with_clients_connected(self):
        self.engine.start()
        events = socket.socket(socket.AF_UNIX)
        events.connect(str(self.engine.socket))
        events.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        events.recv(4096)
        idle = socket.socket(socket.AF_UNIX)
        idle.connect(str(self.engine.socket))
        half = socket.socket(socket.AF_UNIX)
        half.connect(str(self.engine.socket))
        half.sendall(b"POST /images/load HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nabc")
        time.sleep(0.1)
        self.assertEqual(self.engine.stop(), 0)
        for peer in (events, idle, half):
            peer.close()
        self.assertFalse((self.engine.dir / "pid").exists())

    def test_second_engine_on_one_data_root(self):
        self.engine.start()
        run = self.run_cofferd("--data-root", self.engine.data_root, "--exec-root",
                               self.engine.dir / "run2", "-H", f"unix://{self.engine.dir}/2.sock",
                               "--bridge", "none", "--config-file", self.engine.dir / "daemon.json")
        self.assertEqual(run.returncode, 1)
        self.assertIn(str(self.engine.data_root), run.stderr)
        self.assertEqual(self.engine.api("GET", "/_ping")[0], 200)

    def test_socket_activation_and_readiness(self):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.engine.socket))
        listener.listen()
        told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        told.bind(str(self.engine.dir / "notify"))
        told.settimeout(10)
        shell = ("exec 3<&%d; export LISTEN_FDS=1 LISTEN_PID=$$; exec %s --data-root %s "
                 "--exec-root %s -H fd:// --bridge cftest0 --config-file %s" % (
                     listener.fileno(), BIN / "cofferd", self.engine.data_root,
                     self.engine.exec_root, self.engine.dir / "daemon.json"))
        self.engine.process = subprocess.Popen(
            ["sh", "-c", shell], pass_fds=[listener.fileno()], stderr=subprocess.DEVNULL,
            env={**os.environ, "NOTIFY_SOCKET": str(self.engine.dir / "notify")})
        self.assertEqual(told.recv(100), b"READY=1")
        self.assertEqual(self.engine.api("GET", "/_ping")[0], 200)
        self.engine.process.send_signal(signal.SIGTERM)
        self.assertEqual(told.recv(100), b"STOPPING=1")
        self.assertEqual(self.engine.process.wait(10), 0)
        told.close()
        listener.close()

    def test_flags(self):
        config = self.engine.dir / "daemon.json"
        run = self.run_cofferd("--nope")
        self.assertEqual((run.returncode, run.stderr.splitlines()[0]), (1, "unknown flag: --nope"))
        run = self.run_cofferd("--validate", "--config-file", config)
        self.assertEqual((run.returncode, run.stdout), (0, "configuration OK\n"))
        config.write_text('{"data-root":"/x","nope":1}')
        self.assertIn("don't match any configuration option: nope",
                      self.run_cofferd("--validate", "--config-file", config).stderr)
        config.write_text('{"data-root":"/x"}')
        self.assertIn("both as a flag and in the configuration file: data-root",
                      self.run_cofferd("--validate", "--config-file", config, "--data-root",
                                       "/y").stderr)
        config.write_text("{}")
        run = self.run_cofferd("--validate", "--config-file", config, "-H", "tcp://0.0.0.0:2375")
        self.assertIn("without --tlsverify is refused", run.stderr)
        self.assertIn("--data-root", self.run_cofferd("--help").stdout)
        self.assertRegex(self.run_cofferd("--version").stdout, r"^Coffer version \d")


if __name__ == "__main__":
    unittest.main()
