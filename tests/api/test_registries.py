"""Mirrors, rewrites and blocks: the registries file, and the files of others, through the built programs."""
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time
import unittest

from support.engine import BIN, Engine
from support.registry import ForwardProxy, Layout, Registry, free_port, make_certificate, tar_of

OUTSIDE = "10.98.76.56"
DOWN = "127.0.0.1:1"


def setUpModule():
    global engine, origin, mirror, layout, scratch, rules
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="coffer-registries-"))
    rules = scratch / "registries.json"
    engine = Engine("--registries-file", rules)
    origin, mirror = Registry(), Registry()
    layout = Layout(scratch / "layout")
    layout.tag("one", layout.manifest([tar_of({"file": b"1"})]))


def tearDownModule():
    engine.close()
    origin.close()
    mirror.close()
    shutil.rmtree(scratch, ignore_errors=True)


def write(*registries, **more):
    rules.write_text(json.dumps({"registries": registries, **more}))


class Registries(unittest.TestCase):
    def tearDown(self):
        rules.unlink(missing_ok=True)
        engine.remove_images()

    def resolve(self, name, fields="{{.URL}} {{.Source}}", check=True):
        return engine.coffer("registry", "resolve", "--format", fields, name, check=check)

    def test_an_image_that_only_the_mirror_has(self):
        mirror.push(layout, "one", "hub/team/app:1")
        write({"prefix": f"{origin.host}/team", "mirrors": [{"location": f"{mirror.host}/hub/team"}]})
        name = f"{origin.host}/team/app:1"
        self.assertEqual(self.resolve(name).stdout,
                         f"https://{mirror.host}/v2/hub/team/app {rules}: registries.0\n"
                         f"https://{origin.host}/v2/team/app {rules}: registries.0\n")
        engine.docker("pull", name)
        image = json.loads(engine.docker("image", "inspect", name).stdout)[0]
        self.assertEqual(image["RepoTags"], [name])
        self.assertTrue(image["RepoDigests"][0].startswith(f"{origin.host}/team/app@sha256:"))

    def test_short_names_and_their_mirror(self):
        mirror.push(layout, "one", "library/short:latest")
        write({"prefix": "docker.io", "location": DOWN, "mirrors": [{"location": mirror.host}]})
        engine.docker("pull", "short")
        self.assertEqual(engine.docker("images", "--format", "{{.Repository}}:{{.Tag}}").stdout, "short:latest\n")

    def test_a_mirror_that_is_down_or_has_it_not(self):
        name = origin.push(layout, "one", "fall/back:1")
        write({"prefix": origin.host, "mirrors": [{"location": DOWN}, {"location": mirror.host}]})
        engine.coffer("pull", name)
        self.assertEqual(self.resolve(name, "{{.Address}} {{.State}}").stdout,
                         f"{DOWN} failed\n{mirror.host} ok\n{origin.host} ok\n")
        run = engine.docker("pull", f"{origin.host}/fall/none:1", check=False)
        self.assertEqual(run.returncode, 1)
        self.assertIn(f"before that: {mirror.host}: ", run.stderr)

    def test_a_tag_is_resolved_by_the_registry_and_fetched_from_the_mirror(self):
        """The mirror has another image at the tag; content by digest is the same anywhere."""
        name = origin.push(layout, "one", "by/digest:1")
        other = Layout(tempfile.mkdtemp(dir=scratch))
        other.tag("other", other.manifest([tar_of({"other": b""})]))
        mirror.push(other, "other", "by/digest:1")
        mirror.push(layout, "one", "by/digest:copy")
        write({"prefix": origin.host,
               "mirrors": [{"location": mirror.host, "capabilities": ["pull"]}]})
        engine.docker("pull", name)
        digest = engine.docker("image", "inspect", "-f", "{{(index .RepoDigests 0)}}", name).stdout
        self.assertIn(layout.entries[0]["digest"], digest)

    def test_blocked(self):
        name = origin.push(layout, "one", "not/this:1")
        write({"prefix": f"{origin.host}/not", "blocked": True, "message": "ask the admin"})
        said = f"{origin.host}/not/this is blocked by {rules}: registries.0: ask the admin"
        for tool in (engine.docker, engine.coffer):
            run = tool("pull", name, check=False)
            self.assertEqual(run.returncode, 1)
            self.assertIn(said, run.stderr)
        engine.docker("import", "-", name, input=tar_of({"f": b""}))
        self.assertIn(said, engine.docker("push", name, check=False).stderr)
        run = self.resolve(name, check=False)
        self.assertEqual((run.returncode, run.stdout), (1, ""))
        self.assertIn("ask the admin", run.stderr)

    def test_a_bad_file_changes_nothing_and_is_told(self):
        name = f"{origin.host}/x:1"
        write({"prefix": origin.host, "blocked": True})
        self.assertIn("is blocked by", self.resolve(name, check=False).stderr)
        rules.write_text('{"registries": [{"prefix": "a", "mirors": []}]}')
        run = self.resolve(name, check=False)
        self.assertIn("is blocked by", run.stderr)
        self.assertIn(f'{rules}: registries.0: unknown key "mirors"', run.stderr)
        validate = ["--config-file", engine.dir / "daemon.json", "--registries-file", rules, "--validate"]
        checked = subprocess.run([BIN / "cofferd", *validate], capture_output=True, text=True, timeout=20)
        self.assertEqual(checked.returncode, 1)
        self.assertIn('unknown key "mirors"', checked.stderr)
        write()
        self.assertEqual(self.resolve(name, "{{.Source}}").stdout, "no rule\n")

    def test_files_of_others_that_ours_names(self):
        mirror.push(layout, "one", "theirs/app:1")
        folder = scratch / "certs.d" / origin.host
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "hosts.toml").write_text(f'server = "http://{origin.host}"\n[host."http://{mirror.host}"]\n'
                                           'capabilities = ["pull", "resolve"]\n')
        write(**{"hosts-toml": [str(scratch / "certs.d")]})
        engine.docker("pull", f"{origin.host}/theirs/app:1")
        conf = scratch / "registries.conf"
        conf.write_text(f'[[registry]]\nlocation = "{origin.host}"\n'
                        f'[[registry.mirror]]\nlocation = "{mirror.host}/theirs"\n')
        write(**{"registries-conf": str(conf)})
        engine.docker("pull", f"{origin.host}/app:1")
        self.assertEqual(self.resolve(f"{origin.host}/app:1").stdout.splitlines()[0],
                         f"https://{mirror.host}/v2/theirs/app {conf}:1")

    def test_each_login_goes_to_its_own_host(self):
        closed = Registry(user=("ann", "secret"))
        try:
            closed.push(layout, "one", "closed/app:1")
            rule = {"prefix": f"{origin.host}/closed",
                    "mirrors": [{"location": f"{closed.host}/closed", "credentials": str(scratch / "auth.json")}]}
            write(rule)
            (scratch / "auth.json").write_text(json.dumps(closed.docker_config()))
            engine.docker("pull", f"{origin.host}/closed/app:1")
            # The client's login is for the registry that it names.
            del rule["mirrors"][0]["credentials"]
            write(rule)
            config = scratch / "config"
            config.mkdir()
            login = closed.docker_config()["auths"][closed.host]
            (config / "config.json").write_text(json.dumps({"auths": {origin.host: login}}))
            engine.docker("rmi", f"{origin.host}/closed/app:1")
            run = engine.docker("--config", config, "pull", f"{origin.host}/closed/app:1", check=False)
            self.assertEqual(run.returncode, 1, run.stdout)
            self.assertIn("no basic auth credentials", run.stderr)
        finally:
            closed.close()

    def test_mirrors_of_docker_hub_as_dockerd_has_them(self):
        other = Engine("--registry-mirror", f"http://{mirror.host}", "--bridge", "none")
        try:
            mirror.push(layout, "one", "library/hubbed:1")
            other.docker("pull", "hubbed:1")
            self.assertEqual(other.docker("info", "-f", "{{.RegistryConfig.Mirrors}}").stdout,
                             f"[http://{mirror.host}]\n")
        finally:
            other.close()

    def test_logins_in_a_credential_helper(self):
        closed = Registry(user=("ann", "secret"))
        self.addCleanup(closed.close)
        name = closed.push(layout, "one", "kept/app:1")
        folder = scratch / "helper"
        folder.mkdir()
        helper = folder / "docker-credential-box"
        helper.write_text(f"""#!/bin/sh
read -r in
echo "$1 $in" >>{folder}/log
case $1 in
store) echo "$in" >{folder}/kept ;;
get) cat {folder}/kept 2>/dev/null || {{ echo "credentials not found"; exit 1; }} ;;
erase) rm {folder}/kept ;;
esac
""")
        helper.chmod(0o755)
        (folder / "config.json").write_text('{"credsStore": "box"}')

        def coffer(*args, **options):
            return subprocess.run([BIN / "coffer", "-H", f"unix://{engine.socket}", "--config", folder, *args],
                                  capture_output=True, text=True, timeout=60, **options,
                                  env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"})

        self.assertEqual(coffer("pull", name).returncode, 1)
        login = coffer("login", "-u", "ann", "--password-stdin", closed.host, input="secret")
        self.assertEqual((login.returncode, login.stdout), (0, "Login Succeeded\n"), login.stderr)
        self.assertEqual(json.loads((folder / "config.json").read_text()),
                         {"credsStore": "box", "auths": {closed.host: {}}})
        self.assertEqual(json.loads((folder / "kept").read_text()),
                         {"ServerURL": closed.host, "Username": "ann", "Secret": "secret"})
        self.assertEqual(coffer("pull", name).returncode, 0)
        self.assertEqual(coffer("logout", closed.host).returncode, 0)
        self.assertFalse((folder / "kept").exists())
        self.assertEqual(json.loads((folder / "config.json").read_text())["auths"], {})


class Elsewhere(unittest.TestCase):
    """Registries that are not on loopback."""

    @classmethod
    def setUpClass(cls):
        subprocess.run(["ip", "addr", "add", f"{OUTSIDE}/32", "dev", "lo"], check=True)
        cls.addClassCleanup(subprocess.run, ["ip", "addr", "del", f"{OUTSIDE}/32", "dev", "lo"], check=True)
        cls.plain = Registry(OUTSIDE)
        cls.addClassCleanup(cls.plain.close)
        cls.tls = Registry(OUTSIDE, tls=True)
        cls.addClassCleanup(cls.tls.close)
        for registry in (cls.plain, cls.tls):
            registry.push(layout, "one", "app:1")

    def setUp(self):
        self.proxy = ForwardProxy()
        self.addCleanup(self.proxy.close)
        self.rules = pathlib.Path(tempfile.mkdtemp(dir=scratch)) / "registries.json"

    def engine_with(self, *flags, rule=None, **file):
        self.rules.write_text(json.dumps({"registries": [rule] if rule else []}))
        one = Engine("--bridge", "none", "--registries-file", self.rules, *flags, start=False)
        self.addCleanup(one.close)
        (one.dir / "daemon.json").write_text(json.dumps(file))
        one.start()
        return one

    def test_a_proxy_of_the_flags_or_of_none(self):
        rule = {"prefix": self.plain.host, "insecure": True}
        one = self.engine_with("--http-proxy", self.proxy.url, rule=rule)
        one.docker("pull", f"{self.plain.host}/app:1")
        self.assertTrue(any(line.startswith(f"GET http://{self.plain.host}/v2/app/") for line in self.proxy.seen),
                        self.proxy.seen)
        self.assertEqual(one.docker("info", "-f", "{{.HTTPProxy}}").stdout.strip(), self.proxy.url)
        del self.proxy.seen[:]
        other = self.engine_with("--http-proxy", self.proxy.url, "--no-proxy", "10.98.0.0/16", rule=rule)
        other.docker("pull", f"{self.plain.host}/app:1")
        self.assertEqual(self.proxy.seen, [])

    def test_a_proxy_of_the_file_and_an_authority_of_the_rule(self):
        rule = {"prefix": self.tls.host, "ca": str(self.tls.dir / "ca.crt")}
        one = self.engine_with(rule=rule, proxies={"https-proxy": self.proxy.url})
        one.docker("pull", f"{self.tls.host}/app:1")
        self.assertIn(f"CONNECT {self.tls.host} HTTP/1.1", self.proxy.seen)
        other = self.engine_with()
        self.assertRegex(other.docker("pull", f"{self.tls.host}/app:1", check=False).stderr, "(?i)certificate")

    def test_http_2_with_a_certificate_of_the_client(self):
        folder = pathlib.Path(tempfile.mkdtemp(dir=scratch))
        make_certificate(folder, OUTSIDE)
        client = folder / "client"
        client.mkdir()
        make_certificate(client, OUTSIDE)
        host = f"{OUTSIDE}:{free_port(OUTSIDE)}"
        (folder / "nginx.conf").write_text(f"""
daemon off; pid {folder}/pid; error_log {folder}/error; user root; worker_processes 1;
events {{}}
http {{
  log_format short '$server_protocol $request_method $uri'; access_log {folder}/access short;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e; client_max_body_size 0;
  server {{
    listen {host} ssl http2; ssl_certificate {folder}/server.crt; ssl_certificate_key {folder}/server.key;
    ssl_verify_client on; ssl_client_certificate {client}/ca.crt;
    location / {{ proxy_pass http://{self.plain.host}; proxy_set_header Host $http_host;
                  proxy_set_header X-Forwarded-Proto https; }}
  }}
}}""")
        nginx = subprocess.Popen(["nginx", "-p", folder, "-c", folder / "nginx.conf"])
        self.addCleanup(nginx.wait)
        self.addCleanup(nginx.terminate)
        for _ in range(200):
            try:
                socket.create_connection((OUTSIDE, int(host.split(":")[1])), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        rule = {"prefix": host, "ca": str(folder / "ca.crt"), "client-cert": str(client / "server.crt"),
                "client-key": str(client / "server.key")}
        one = self.engine_with(rule=rule)
        one.docker("pull", f"{host}/app:1")
        one.docker("tag", f"{host}/app:1", f"{host}/other:1")
        one.docker("push", f"{host}/other:1")
        lines = (folder / "access").read_text().splitlines()
        self.assertTrue(all(line.startswith("HTTP/2.0 ") for line in lines), lines)
        self.assertIn("HTTP/2.0 GET /v2/app/manifests/1", lines)
        self.assertIn("HTTP/2.0 PUT /v2/other/manifests/1", lines)
        del rule["client-cert"], rule["client-key"]
        self.rules.write_text(json.dumps({"registries": [rule]}))
        self.assertEqual(one.docker("pull", f"{host}/app:1", check=False).returncode, 1)


if __name__ == "__main__":
    unittest.main()
