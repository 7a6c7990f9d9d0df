"""Debian as people run it, under the default security level: apt, nginx, postgres."""
import unittest
import urllib.error
import urllib.request

from support import debian
from support.engine import Engine, wait_until
from support.outside import GATEWAY, NAME, Outside
from support.registry import free_port

POSTGRES = "/usr/lib/postgresql/15/bin"
SOURCES = f"echo 'deb [trusted=yes] http://{NAME} ./' >/etc/apt/sources.list"


def setUpModule():
    global engine, outside
    if not debian.root_archive().exists():
        raise unittest.SkipTest("no mirror of Debian was in reach")
    outside = Outside(debian.repository())
    engine = Engine()
    engine.docker("import", "-c", 'CMD ["bash"]', debian.root_archive(), "debian")


def tearDownModule():
    engine.close()
    outside.close()


class RealImage(unittest.TestCase):
    def tearDown(self):
        engine.remove_containers()

    def out(self, *args):
        return engine.docker(*args).stdout


class Apt(RealImage):
    def test_update_and_install(self):
        # A program, a group and a file for it, and one that wants a file capability.
        out = self.out("run", "--rm", "debian", "sh", "-ec",
                       f"{SOURCES}; apt-get update; apt-get install -y hello cron iputils-ping;"
                       "echo --; hello; stat -c '%A %G' /usr/bin/crontab; dpkg --audit;"
                       "ping -c 1 -W 5 deb.test >/dev/null && echo pong")
        self.assertEqual(out.split("\n--\n")[1].splitlines(),
                         ["Hello, world!", "-rwxr-sr-x crontab", "pong"])

    def test_the_mirror_sees_the_host(self):
        out = self.out("run", "--rm", "debian", "sh", "-ec",
                       f"/usr/lib/apt/apt-helper download-file http://{NAME}/address /tmp/address"
                       ">&2; cat /tmp/address")
        self.assertEqual(out, GATEWAY)

    def test_users(self):
        out = self.out("run", "--rm", "debian", "sh", "-ec",
                       "useradd -m joe; su joe -c 'id -un; touch ~/mine; getent hosts localhost';"
                       "stat -c %U /home/joe/mine; echo joe:secret | chpasswd")
        self.assertEqual(out.splitlines()[0], "joe")
        self.assertIn("localhost", out.splitlines()[1])
        self.assertEqual(out.splitlines()[2], "joe")

    def test_scripts_of_services(self):
        out = self.out("run", "--rm", "debian", "sh", "-ec",
                       "service postgresql start >&2; su postgres -c 'psql -Atc \"select 6 * 7\"'")
        self.assertEqual(out, "42\n")


class Nginx(RealImage):
    def test_published(self):
        port = free_port()
        # Its logs go where those of the image on the hub go.
        self.out("run", "-d", "--name", "web", "-p", f"{port}:80", "debian", "sh", "-ec",
                 "ln -sf /dev/stdout /var/log/nginx/access.log;"
                 "exec nginx -g 'daemon off; error_log /dev/stderr notice;'")

        def page(path):
            try:
                return urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5)
            except urllib.error.HTTPError as error:
                return error
            except OSError:
                return None

        with wait_until(lambda: page("/"), 30) as reply:
            self.assertIn(b"Welcome to nginx!", reply.read())
        with page("/absent") as reply:
            self.assertEqual(reply.status, 404)
        logs = wait_until(lambda: (run := engine.docker("logs", "web")) and "/absent" in run.stdout
                          and run, 30)
        self.assertIn('"GET / HTTP/1.1" 200', logs.stdout)
        self.assertIn("start worker process", logs.stderr)
        self.assertEqual(set(self.out("exec", "web", "sh", "-c", "stat -c %U /proc/[0-9]*/cmdline")
                             .split()) & {"root", "www-data"}, {"root", "www-data"})
        self.out("stop", "web")
        self.assertEqual(self.out("inspect", "-f", "{{.State.ExitCode}}", "web"), "0\n")


class Postgres(RealImage):
    def server(self, name):
        self.out("run", "-d", "--name", name, "--user", "postgres", "-v", "pgdata:/var/lib/postgresql",
                 "-e", "PGDATA=/var/lib/postgresql/own", "--shm-size", "256m", "debian", "sh", "-ec",
                 f"[ -d $PGDATA ] || {POSTGRES}/initdb -A trust; exec {POSTGRES}/postgres -k /tmp")
        wait_until(lambda: "ready to accept connections" in engine.docker("logs", name).stderr, 30)

    def ask(self, name, text):
        return self.out("exec", name, "psql", "-h", "/tmp", "-Atc", text)

    def test_data_outlives_the_container(self):
        self.server("one")
        self.ask("one", "create table t as select generate_series(1, 100000) i")
        # As a client over the network, from a process of another user.
        self.assertEqual(self.out("exec", "-u", "www-data", "one", "psql", "-h", "localhost", "-U",
                                  "postgres", "-Atc", "select count(*) from t"), "100000\n")
        self.out("stop", "one")
        self.assertEqual(self.out("inspect", "-f", "{{.State.ExitCode}}", "one"), "0\n")
        self.out("rm", "one")
        self.server("two")
        self.assertEqual(self.ask("two", "select sum(i) from t"), "5000050000\n")
        # Killed without warning: the log of the database is replayed.
        self.ask("two", "insert into t values (7)")
        self.out("rm", "-f", "two")
        self.server("three")
        self.assertEqual(self.ask("three", "select sum(i) from t"), "5000050007\n")
        self.out("rm", "-f", "three")
        self.out("volume", "rm", "pgdata")


if __name__ == "__main__":
    unittest.main()
