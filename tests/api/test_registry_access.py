"""Who may use our own registry: passwords, certificates, and what is closed by default."""
import base64
import http.client
import pathlib
import socket
import ssl
import tempfile
import unittest

from support.engine import Engine
from support.own_registry import ask, own, run
from support.registry import free_port, make_certificate


def setUpModule():
    own.start()


def tearDownModule():
    own.close()


class Users(unittest.TestCase):
    PASSWORD = "correct horse"

    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(dir=own.scratch))
        self.file = self.dir / "htpasswd"
        self.write({"anna": self.PASSWORD})
        self.engine = None

    def tearDown(self):
        if self.engine:
            self.engine.close()

    def write(self, users):
        import warnings
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import crypt
        self.file.write_text("# users\n" + "".join(
            f"{name}:{crypt.crypt(password, crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=32))}\n"
            for name, password in users.items()))

    def start(self, *flags):
        self.at = f"127.0.0.1:{free_port()}"
        self.engine = Engine("--registry", self.at, "--registry-htpasswd", str(self.file), *flags)

    @staticmethod
    def basic(name, password):
        return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()

    def status(self, method="GET", path="/v2/", **headers):
        return ask(method, path, at=self.at, **headers).status

    def test_basic(self):
        self.start()
        reply = ask("GET", "/v2/", at=self.at)
        self.assertEqual((reply.status, reply.code), (401, "UNAUTHORIZED"))
        self.assertTrue(reply.headers["WWW-Authenticate"].startswith("Basic realm="))
        good = self.basic("anna", self.PASSWORD)
        for _ in range(2):
            self.assertEqual(self.status(Authorization=good), 200)
        for bad in (self.basic("anna", "wrong"), self.basic("bert", self.PASSWORD),
                    self.basic("anna", self.PASSWORD + "x" * 80), self.basic("anna", ""),
                    "Basic ???", "Basic", "Bearer x"):
            self.assertEqual(self.status(Authorization=bad), 401, bad)
        self.assertEqual(self.status("POST", "/v2/a/blobs/uploads/", Content_Length="0"), 401)
        # A user who is taken out of the file has lost it at once.
        self.write({"bert": "other"})
        self.assertEqual(self.status(Authorization=good), 401)
        self.assertEqual(self.status(Authorization=self.basic("bert", "other")), 200)

    def test_docker_logs_in(self):
        self.start()
        other = Engine()
        try:
            other.import_busybox("mine")
            other.docker("tag", "mine", f"{self.at}/mine:1")
            self.assertNotEqual(other.docker("push", f"{self.at}/mine:1", check=False).returncode, 0)
            wrong = other.docker("login", "-u", "anna", "-p", "wrong", self.at, check=False)
            self.assertNotEqual(wrong.returncode, 0)
            other.docker("login", "-u", "anna", "-p", self.PASSWORD, self.at)
            other.docker("push", f"{self.at}/mine:1")
            other.docker("pull", f"{self.at}/mine:1")
        finally:
            other.close()

    def test_anonymous_read(self):
        self.start("--registry-anonymous-read")
        other = Engine()
        try:
            other.import_busybox("mine")
            other.docker("tag", "mine", f"{self.at}/mine:1")
            denied = other.docker("push", f"{self.at}/mine:1", check=False)
            self.assertNotEqual(denied.returncode, 0)
            other.docker("login", "-u", "anna", "-p", self.PASSWORD, self.at)
            other.docker("push", f"{self.at}/mine:1")
            other.docker("logout", self.at)
            other.docker("pull", f"{self.at}/mine:1")
            run("skopeo", "inspect", "--tls-verify=false", f"docker://{self.at}/mine:1")
        finally:
            other.close()
        self.assertEqual(self.status("GET", "/v2/_catalog", Host="evil.example"), 403)
        token = ask("GET", "/v2/_token", at=self.at).json["token"]
        self.assertEqual(self.status(Authorization=f"Bearer {token}"), 200)
        self.assertEqual(self.status("POST", "/v2/a/blobs/uploads/", Content_Length="0",
                                     Authorization=f"Bearer {token}"), 401)
        reply = ask("GET", "/v2/_token", at=self.at, Authorization=self.basic("anna", "wrong"))
        self.assertEqual(reply.status, 401)
        # The token of a user lets write, until the file has changed.
        token = ask("GET", "/v2/_token", at=self.at,
                    Authorization=self.basic("anna", self.PASSWORD)).json["token"]
        begin = {"Content_Length": "0", "Authorization": f"Bearer {token}"}
        self.assertEqual(self.status("POST", "/v2/a/blobs/uploads/", **begin), 202)
        self.write({"bert": "other"})
        self.assertEqual(self.status("POST", "/v2/a/blobs/uploads/", **begin), 401)

    def test_tls_and_client_certificates(self):
        address = "127.0.0.1"
        make_certificate(self.dir, address)
        self.start("--registry-tls-cert", str(self.dir / "server.crt"), "--registry-tls-key",
                   str(self.dir / "server.key"), "--registry-client-ca", str(self.dir / "ca.crt"))
        context = ssl.create_default_context(cafile=self.dir / "ca.crt")
        with self.assertRaises((ssl.SSLError, ConnectionError)):
            connection = http.client.HTTPSConnection(self.at, context=context, timeout=20)
            connection.request("GET", "/v2/")
            connection.getresponse()
        context.load_cert_chain(self.dir / "server.crt", self.dir / "server.key")
        connection = http.client.HTTPSConnection(self.at, context=context, timeout=20)
        connection.request("GET", "/v2/", headers={
            "Authorization": self.basic("anna", self.PASSWORD)})
        self.assertEqual(connection.getresponse().status, 200)
        connection.close()

    def test_a_bad_file_is_refused(self):
        self.file.write_text("anna:plain\n")
        with self.assertRaises(RuntimeError) as error:
            self.start()
        self.assertIn("line 1: the password of 'anna' is not hashed by bcrypt",
                      str(error.exception))


class SecureByDefault(unittest.TestCase):
    def test_what_needs_to_be_said(self):
        for flags, message in (
                (["--registry", "0.0.0.0:0"], "needs --registry-tls-cert"),
                (["--registry", ":5000"], "needs --registry-tls-cert"),
                (["--registry", "127.0.0.1:1", "--registry-anonymous-read"],
                 "needs --registry-htpasswd"),
                (["--registry", "127.0.0.1:1", "--registry-tls-cert", "x"], "belong together"),
                (["--registry", "0.0.0.0:1", "--registry-open", "--registry-htpasswd", "x"],
                 "--registry-open lets all in"),
                (["--registry", "127.0.0.1:1", "--registry-name", "plain"],
                 "is no name of a registry")):
            with self.subTest(flags), self.assertRaises(RuntimeError) as error:
                Engine(*flags)
            self.assertIn(message, str(error.exception))

    def test_a_page_in_a_browser_is_refused(self):
        self.assertEqual(ask("POST", "/v2/a/blobs/uploads/", Origin="http://evil.example",
                             Content_Length="0").status, 403)
        self.assertEqual(ask("GET", "/v2/_catalog", Host="evil.example").status, 403)

    def test_unix_socket(self):
        path = own.scratch / "registry.sock"
        other = Engine("--registry", f"unix://{path}")
        try:
            with socket.socket(socket.AF_UNIX) as raw:
                raw.connect(str(path))
                raw.sendall(b"GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                self.assertTrue(raw.recv(100).startswith(b"HTTP/1.1 200"))
        finally:
            other.close()


if __name__ == "__main__":
    unittest.main()
