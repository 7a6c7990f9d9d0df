"""Log drivers: what a receiver gets of each, what happens without one, and that `logs` works."""
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest

from support import receivers
from support.engine import Engine, wait_until
from support.receivers import Receiver
from support.registry import busybox_rootfs


def setUpModule():
    global engine
    engine = Engine()
    engine.import_busybox()


def tearDownModule():
    engine.close()


class DriverTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.open = []

    def tearDown(self):
        engine.remove_containers()
        for receiver in self.open:
            receiver.close()
        self.folder.cleanup()
        wait_until(lambda: not loggers())

    def receiver(self, *args, **options):
        receiver = Receiver(*args, **options)
        self.open.append(receiver)
        return receiver

    def run_with(self, driver, *options, script="echo out; echo err >&2", more=(), check=True):
        flags = [word for option in options for word in ("--log-opt", option)]
        return engine.docker("run", "--name", "ct", "--network", "none", "--log-driver", driver,
                             *flags, *more, "busybox", "sh", "-c", script, check=check)


def loggers():
    """The processes of coffer-logger that live."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as command:
                if b"coffer-logger" in command.read().split(b"\0")[0]:
                    found.append(int(pid))
        except OSError:
            pass
    return found


class Options(unittest.TestCase):
    def create(self, driver, options):
        status, _, body = engine.api("POST", "/containers/create", {
            "Image": "busybox", "HostConfig": {"LogConfig": {"Type": driver, "Config": options}}})
        reply = json.loads(body)
        if status == 201:
            engine.api("DELETE", f"/containers/{reply['Id']}")
        return status, reply.get("message")

    def test_errors_are_dockers(self):
        for driver, options, message in [
            ("json-file", {"x": "1"}, "unknown log opt 'x' for json-file log driver"),
            ("local", {"zz": "1"}, "unknown log opt 'zz' for log driver local"),
            ("syslog", {"x": "1"}, "unknown log opt 'x' for syslog log driver"),
            ("nope", {}, 'error looking up logging plugin nope: plugin "nope" not found'),
            ("gelf", {}, "gelf-address is a required parameter"),
            ("gelf", {"gelf-address": "udp://1.2.3.4"},
             "gelf: please provide gelf-address as proto://host:port"),
            ("gelf", {"gelf-address": "http://1.2.3.4:12"},
             "gelf-address should be in form proto://address, got http://1.2.3.4:12"),
            ("gelf", {"gelf-address": "udp://h:1", "gelf-compression-type": "gg"},
             'unknown value "gg" for log opt "gelf-compression-type" for gelf log driver'),
            ("gelf", {"gelf-address": "tcp://h:1", "gelf-compression-type": "gzip"},
             "compression is only supported on UDP"),
            ("syslog", {"syslog-address": "foo://1"},
             "syslog-address should be in form proto://address, got foo://1"),
            ("syslog", {"syslog-facility": "zz"}, "invalid syslog facility"),
            ("syslog", {"syslog-format": "zz"}, "Invalid syslog format"),
            ("fluentd", {"fluentd-async": "foo"},
             'strconv.ParseBool: parsing "foo": invalid syntax'),
            ("json-file", {"mode": "foo"}, "logger: logging mode not supported: foo"),
            ("json-file", {"max-buffer-size": "1m"},
             "logger: max-buffer-size option is only supported with 'mode=non-blocking'"),
            ("json-file", {"mode": "non-blocking", "max-buffer-size": "foo"},
             "error parsing option max-buffer-size: invalid size: 'foo'"),
            ("json-file", {"max-size": "foo"},
             "failed to initialize logging driver: invalid size: 'foo'"),
            ("json-file", {"max-file": "foo"},
             'failed to initialize logging driver: strconv.Atoi: parsing "foo": invalid syntax'),
            ("json-file", {"max-file": "0"},
             "failed to initialize logging driver: max-file cannot be less than 1"),
            ("json-file", {"compress": "true", "max-file": "1"},
             "failed to initialize logging driver: compress cannot be true when max-file is less "
             "than 2 or max-size is not set"),
            ("json-file", {"tag": "{{"},
             "failed to initialize logging driver: template: log-tag:1: unclosed action"),
            ("syslog", {"cache-disabled": "foo"}, "invalid value for option cache-disabled: foo"),
        ]:
            with self.subTest(driver=driver, options=options):
                self.assertEqual(self.create(driver, options), (400, message))

    def test_drivers_are_listed(self):
        info = engine.json("GET", "/info")
        self.assertEqual(info["LoggingDriver"], "json-file")
        self.assertEqual(info["Plugins"]["Log"],
                         ["fluentd", "gelf", "journald", "json-file", "local", "syslog"])
        for driver in info["Plugins"]["Log"]:
            options = {"gelf-address": "udp://127.0.0.1:9"} if driver == "gelf" else {}
            self.assertEqual(self.create(driver, options)[0], 201, driver)


class Syslog(DriverTest):
    def test_udp_formats_and_the_facility(self):
        for form, pattern in [
            ("", r"<131>\w{3} [ \d]\d \d\d:\d\d:\d\d web/ct\[\d+\]: err\n"),
            ("rfc3164", r"<131>\w{3} [ \d]\d \d\d:\d\d:\d\d \S+ web/ct\[\d+\]: err\n"),
            ("rfc5424", r"<131>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \S+ web/ct \d+ web/ct - err\n"),
            ("rfc5424micro",
             r"<131>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z \S+ web/ct \d+ web/ct - err\n"),
        ]:
            with self.subTest(form=form):
                receiver = self.receiver()
                self.run_with("syslog", f"syslog-address=udp://127.0.0.1:{receiver.port}",
                              f"syslog-format={form}", "syslog-facility=local0",
                              "tag=web/{{.Name}}")
                got = receiver.wait(lambda r: len(r.datagrams) >= 2 and sorted(r.datagrams))
                self.assertRegex(got[0].decode(), pattern)
                self.assertRegex(got[1].decode(), r"^<134>.*out\n")
                engine.docker("rm", "ct")

    def test_logs_works_from_the_copy(self):
        receiver = self.receiver()
        address = f"syslog-address=udp://127.0.0.1:{receiver.port}"
        self.run_with("syslog", address, "labels=a", more=["--label", "a=b"])
        out = engine.docker("logs", "ct")
        self.assertEqual((out.stdout, out.stderr), ("out\n", "err\n"))
        self.assertEqual(engine.docker("logs", "--details", "ct").stdout, "a=b out\n")
        engine.docker("rm", "ct")
        self.run_with("syslog", address, "cache-disabled=true")
        out = engine.docker("logs", "ct", check=False)
        self.assertIn("configured logging driver does not support reading", out.stderr)

    def test_tcp_and_unix(self):
        tcp = self.receiver(socket.SOCK_STREAM)
        self.run_with("syslog", f"syslog-address=tcp://localhost:{tcp.port}")
        tcp.wait(lambda r: b"out\n" in r.bytes and b"err\n" in r.bytes)
        engine.docker("rm", "ct")
        for kind, scheme in [(socket.SOCK_DGRAM, "unixgram"), (socket.SOCK_STREAM, "unix")]:
            path = f"{self.folder.name}/{scheme}"
            receiver = self.receiver(kind, path=path)
            self.run_with("syslog", f"syslog-address={scheme}://{path}")
            receiver.wait(lambda r: b"out\n" in r.bytes)
            engine.docker("rm", "ct")

    def certificate(self):
        base = self.folder.name
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                        "-keyout", f"{base}/key.pem", "-out", f"{base}/cert.pem"],
                       check=True, stderr=subprocess.DEVNULL)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{base}/cert.pem", f"{base}/key.pem")
        return f"{base}/cert.pem", context

    def test_end_of_the_log_reaches_a_slow_receiver_over_tls(self):
        ca, context = self.certificate()
        receiver = self.receiver(socket.SOCK_STREAM, context=context, reads=False)
        timer = threading.Timer(2, receiver.reads.set)  # most of it still waits in this machine
        timer.start()
        self.addCleanup(timer.join)
        self.run_with("syslog", f"syslog-address=tcp+tls://localhost:{receiver.port}",
                      f"syslog-tls-ca-cert={ca}", script="""
            line=$(head -c 8000 /dev/zero | tr '\\0' x); for i in $(seq 300); do echo $line; done; echo last""")
        receiver.wait(lambda r: b"last\n" in r.bytes)
        self.assertEqual(receiver.bytes.count(b"\n"), 301)

    def test_tls_verifies_and_counts_octets(self):
        ca, context = self.certificate()
        receiver = self.receiver(socket.SOCK_STREAM, context=context)
        address = f"syslog-address=tcp+tls://localhost:{receiver.port}"
        refused = self.run_with("syslog", address, check=False)
        self.assertEqual(refused.returncode, 125)
        self.assertIn("failed to initialize logging driver", refused.stderr)
        engine.docker("rm", "ct")
        self.run_with("syslog", address, f"syslog-tls-ca-cert={ca}", "syslog-format=rfc5424",
                      script="echo one; echo two")
        got = receiver.wait(lambda r: b"two\n" in r.bytes and r.bytes)
        for _ in range(2):
            size, _, got = got.partition(b" ")
            line, got = got[:int(size)], got[int(size):]
            self.assertRegex(line, rb"^<30>1 .* - (one|two)\n$")
        engine.docker("rm", "ct")
        self.run_with("syslog", address, "syslog-tls-skip-verify=true", script="echo three")
        receiver.wait(lambda r: b"three\n" in r.bytes)

    def test_without_a_receiver_the_start_fails(self):
        free = self.receiver(socket.SOCK_STREAM)
        port = free.port
        free.close()
        out = self.run_with("syslog", f"syslog-address=tcp://127.0.0.1:{port}", check=False)
        self.assertEqual(out.returncode, 125)
        self.assertIn("failed to initialize logging driver: dial tcp "
                      f"127.0.0.1:{port}: connect: connection refused", out.stderr)
        self.assertEqual(engine.json("GET", "/containers/ct/json")["State"]["Status"], "created")

    def test_a_receiver_that_comes_back_gets_the_rest(self):
        first = self.receiver(socket.SOCK_STREAM)
        engine.docker("run", "-d", "--name", "ct", "--network", "none", "--log-driver", "syslog",
                      "--log-opt", f"syslog-address=tcp://127.0.0.1:{first.port}", "busybox", "sh",
                      "-c", "i=0; while true; do i=$((i+1)); echo line $i; sleep 0.1; done")
        first.wait(lambda r: b"line 3\n" in r.bytes)
        first.close()
        wait_until(lambda: "connection refused" in engine.log.read_text())
        second = self.receiver(socket.SOCK_STREAM, port=first.port)
        second.wait(lambda r: len(re.findall(rb"line \d+\n", r.bytes)) >= 5)
        numbers = [int(n) for n in re.findall(rb"line (\d+)\n", second.bytes)]
        self.assertEqual(numbers, list(range(numbers[0], numbers[0] + len(numbers))))


class Gelf(DriverTest):
    def test_udp_in_each_compression(self):
        for how in ("gzip", "zlib", "none"):
            with self.subTest(how=how):
                receiver = self.receiver()
                self.run_with("gelf", f"gelf-address=udp://127.0.0.1:{receiver.port}",
                              f"gelf-compression-type={how}", "env=E", "labels-regex=^l",
                              more=["-e", "E=v", "--label", "last=w", "--label", "other=x"])
                receiver.wait(lambda r: len(r.datagrams) >= 2)
                documents = sorted(receivers.gelf(receiver.datagrams), key=lambda d: d["level"])
                err, out = documents
                self.assertEqual((err["short_message"], out["short_message"]), ("err", "out"))
                self.assertEqual((err["level"], out["level"]), (3, 6))
                self.assertEqual(out["version"], "1.1")
                self.assertEqual(out["_container_name"], "ct")
                self.assertEqual(out["_image_name"], "busybox")
                self.assertEqual((out["_E"], out["_last"]), ("v", "w"))
                self.assertNotIn("_other", out)
                self.assertEqual(out["_tag"], out["_container_id"][:12])
                self.assertIsInstance(out["timestamp"], float)
                engine.docker("rm", "ct")

    def test_long_messages_go_in_chunks(self):
        receiver = self.receiver()
        self.run_with("gelf", f"gelf-address=udp://127.0.0.1:{receiver.port}",
                      "gelf-compression-type=none",
                      script="head -c 10000 /dev/zero | tr '\\0' x; echo")
        wait_until(lambda: receivers.gelf(receiver.datagrams))
        self.assertEqual(receivers.gelf(receiver.datagrams)[0]["short_message"], "x" * 10000)
        self.assertGreater(len(receiver.datagrams), 5)

    def test_tcp_ends_each_document_with_a_nul(self):
        receiver = self.receiver(socket.SOCK_STREAM)
        self.run_with("gelf", f"gelf-address=tcp://127.0.0.1:{receiver.port}",
                      script="echo one; echo; echo two")
        got = receiver.wait(lambda r: r.bytes.count(b"\0") >= 2 and r.bytes)
        documents = [json.loads(text) for text in got.split(b"\0")[:-1]]
        self.assertEqual([d["short_message"] for d in documents], ["one", "two"])


class Fluentd(DriverTest):
    def test_messages_and_parts_of_long_lines(self):
        receiver = self.receiver(socket.SOCK_STREAM)
        self.run_with("fluentd", f"fluentd-address=127.0.0.1:{receiver.port}", "tag=t.{{.Name}}",
                      "fluentd-sub-second-precision=true",
                      script="head -c 20000 /dev/zero | tr '\\0' x; echo; echo err >&2")
        wait_until(lambda: len(receivers.fluentd(receiver.bytes)) >= 3)
        messages = receivers.fluentd(receiver.bytes)
        self.assertTrue(all(m[0] == "t.ct" and m[1][0] == "time" for m in messages))
        records = [m[2] for m in messages]
        self.assertTrue(all(r["container_name"] == "/ct" for r in records))
        parts = [r for r in records if "partial_message" in r]
        self.assertEqual([r["partial_ordinal"] for r in parts], ["1", "2"])
        self.assertEqual([r["partial_last"] for r in parts], ["false", "true"])
        self.assertEqual(parts[0]["partial_id"], parts[1]["partial_id"])
        self.assertEqual("".join(r["log"] for r in parts), "x" * 20000)
        self.assertIn(("stderr", "err"), [(r["source"], r["log"]) for r in records])

    def test_acknowledged_messages_over_unix(self):
        def answer(data):
            for message in receivers.fluentd(data):
                chunk = message[3]["chunk"].encode()
                yield b"\x81\xa3ack" + bytes([0xA0 + len(chunk)]) + chunk

        path = f"{self.folder.name}/f.sock"
        receiver = self.receiver(socket.SOCK_STREAM, path=path, answer=answer)
        self.run_with("fluentd", f"fluentd-address=unix://{path}", "fluentd-request-ack=true",
                      script="echo 1; echo 2; echo 3")
        wait_until(lambda: len(receivers.fluentd(receiver.bytes)) >= 3)
        self.assertEqual([m[2]["log"] for m in receivers.fluentd(receiver.bytes)], ["1", "2", "3"])
        self.assertEqual(receiver.connections, 1)

    def test_async_starts_without_a_receiver_and_sends_later(self):
        free = self.receiver(socket.SOCK_STREAM)
        port = free.port
        free.close()
        engine.docker("run", "-d", "--name", "ct", "--network", "none", "--log-driver", "fluentd",
                      "--log-opt", f"fluentd-address=127.0.0.1:{port}",
                      "--log-opt", "fluentd-async=true", "busybox", "sh", "-c",
                      "echo early; sleep 100")
        receiver = self.receiver(socket.SOCK_STREAM, port=port)
        wait_until(lambda: receivers.fluentd(receiver.bytes))
        self.assertEqual(receivers.fluentd(receiver.bytes)[0][2]["log"], "early")


class Journald(DriverTest):
    def test_fields(self):
        path = f"{self.folder.name}/journal"
        receiver = self.receiver(path=path)
        self.run_with("journald", f"journald-socket={path}", "labels=my.label",
                      more=["--label", "my.label=v"],
                      script="echo out; echo err >&2; head -c 17000 /dev/zero | tr '\\0' x")
        receiver.wait(lambda r: len(r.datagrams) >= 4)
        entries = [receivers.journal(data) for data in receiver.datagrams]
        by_text = {entry["MESSAGE"][:3]: entry for entry in entries}
        self.assertEqual((by_text["out"]["PRIORITY"], by_text["err"]["PRIORITY"]), ("6", "3"))
        out = by_text["out"]
        self.assertEqual(out["CONTAINER_NAME"], "ct")
        self.assertEqual(out["CONTAINER_ID"], out["CONTAINER_ID_FULL"][:12])
        self.assertEqual(out["MY_LABEL"], "v")
        self.assertEqual(out["SYSLOG_IDENTIFIER"], out["CONTAINER_ID"])
        self.assertNotIn("CONTAINER_PARTIAL_MESSAGE", out)
        self.assertEqual(by_text["xxx"]["CONTAINER_PARTIAL_MESSAGE"], "true")

    def test_without_a_journal_the_start_fails(self):
        out = self.run_with("journald", f"journald-socket={self.folder.name}/none", check=False)
        self.assertEqual(out.returncode, 125)
        self.assertIn("failed to initialize logging driver", out.stderr)


class Pressure(DriverTest):
    LINES = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo $i 0123456789012345678901234567890; done"

    def test_non_blocking_never_waits_and_tells_what_it_dropped(self):
        receiver = self.receiver(socket.SOCK_STREAM, reads=False)
        self.run_with("syslog", f"syslog-address=tcp://127.0.0.1:{receiver.port}",
                      "mode=non-blocking", "max-buffer-size=16k",
                      script=self.LINES.replace("20000", "100000") + "; echo end")
        self.assertEqual(engine.docker("logs", "--tail", "1", "ct").stdout, "end\n")
        receiver.reads.set()
        wait_until(lambda: re.search(r"log of container \w+: \d+ messages were dropped",
                                     engine.log.read_text()))

    def test_blocking_loses_nothing(self):
        receiver = self.receiver(socket.SOCK_STREAM, reads=False)
        engine.docker("run", "-d", "--name", "ct", "--network", "none", "--log-driver", "syslog",
                      "--log-opt", f"syslog-address=tcp://127.0.0.1:{receiver.port}", "busybox",
                      "sh", "-c", self.LINES.replace("20000", "100000"))
        time.sleep(1)
        self.assertEqual(engine.json("GET", "/containers/ct/json")["State"]["Status"], "running")
        receiver.reads.set()
        engine.docker("wait", "ct")
        receiver.wait(lambda r: b": 100000 " in r.bytes)
        numbers = [int(n) for n in re.findall(rb"\]: (\d+) 0123", receiver.bytes)]
        self.assertEqual(numbers, list(range(1, 100001)))

    def test_a_killed_sender_is_started_again(self):
        receiver = self.receiver(socket.SOCK_STREAM)
        engine.docker("run", "-d", "--name", "ct", "--network", "none", "--log-driver", "syslog",
                      "--log-opt", f"syslog-address=tcp://127.0.0.1:{receiver.port}", "busybox",
                      "sh", "-c", "i=0; while true; do i=$((i+1)); echo line $i; sleep 0.1; done")
        receiver.wait(lambda r: b"line 2\n" in r.bytes)
        os.kill(loggers()[0], signal.SIGKILL)
        receiver.wait(lambda r: r.connections >= 2)
        seen = len(receiver.bytes)
        receiver.wait(lambda r: b"line " in r.bytes[seen:])
        self.assertIn("running", engine.docker("inspect", "-f", "{{.State.Status}}", "ct").stdout)

    def test_the_engine_may_go_and_come(self):
        receiver = self.receiver(socket.SOCK_STREAM)
        engine.docker("run", "-d", "--name", "ct", "--network", "none", "--log-driver", "syslog",
                      "--log-opt", f"syslog-address=tcp://127.0.0.1:{receiver.port}", "busybox",
                      "sh", "-c", "i=0; while true; do i=$((i+1)); echo line $i; sleep 0.05; done")
        receiver.wait(lambda r: b"line 2\n" in r.bytes)
        engine.stop(signal.SIGKILL)
        seen = len(re.findall(rb"line \d+\n", receiver.bytes))
        receiver.wait(lambda r: len(re.findall(rb"line \d+\n", r.bytes)) > seen + 5)
        engine.start()
        numbers = [int(n) for n in re.findall(rb"line (\d+)\n", receiver.bytes)]
        self.assertEqual(numbers, list(range(1, len(numbers) + 1)))
        self.assertIn("line 1\n", engine.docker("logs", "ct").stdout)


class Defaults(unittest.TestCase):
    def test_the_engine_has_a_default_driver(self):
        other = Engine("--log-driver", "local", "--log-opt", "max-size=1m")
        try:
            other.docker("import", "-c", "ENV PATH=/bin", "-", "busybox", input=busybox_rootfs())
            other.docker("run", "--name", "ct", "--network", "none", "busybox", "echo", "hi")
            config = other.json("GET", "/containers/ct/json")["HostConfig"]["LogConfig"]
            self.assertEqual(config, {"Type": "local", "Config": {"max-size": "1m"}})
            self.assertEqual(other.json("GET", "/info")["LoggingDriver"], "local")
            self.assertEqual(other.docker("logs", "ct").stdout, "hi\n")
            other.docker("run", "--name", "dt", "--network", "none", "--log-driver", "none",
                         "busybox", "echo", "hi")
            out = other.docker("logs", "dt", check=False)
            self.assertIn("configured logging driver does not support reading", out.stderr)
        finally:
            other.close()


if __name__ == "__main__":
    unittest.main()
