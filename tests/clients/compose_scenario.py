"""docker-compose with a project of two services that find each other by name."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

PROJECT = """
version: "3.8"
services:
  db:
    image: busybox
    command: sh -c 'mkdir -p /www; echo data > /www/index.html; exec httpd -f -p 80 -h /www'
    volumes: ["kept:/kept"]
    networks:
      inner: {aliases: [database]}
  web:
    image: busybox
    command: sh -c 'trap exit TERM; echo started; while :; do sleep 0.1; done'
    depends_on: [db]
    environment: {NAME: value}
    ports: ["127.0.0.1:28085:80"]
    networks: [inner, outer]
volumes: {kept: {}}
networks: {inner: {internal: true}, outer: {}}
"""


class Compose:
    def __init__(self, folder):
        self.folder = folder
        self.steps = []

    def run(self, *args):
        return subprocess.run(["docker-compose", "--no-ansi", "-p", "proj", *args],
                              cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=120)

    def do(self, step, *args, errors=True):
        done = self.run(*args)
        # Services are done side by side: the order of their lines says nothing.
        lines = sorted(line for line in done.stderr.splitlines() if "deprecated" not in line)
        self.steps.append((step, {"status": done.returncode, "stdout": done.stdout,
                                  "stderr": lines if errors else []}))

    def wait_for(self, text, *args):
        for _ in range(100):
            if text in self.run(*args).stdout:
                return
            time.sleep(0.05)


def main():
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "docker-compose.yml").write_text(PROJECT)
        compose = Compose(folder)
        compose.do("up", "up", "-d")
        compose.wait_for("started", "logs", "web")
        compose.wait_for("data", "exec", "-T", "web", "wget", "-qO-", "http://db/")
        compose.do("ps", "ps")
        compose.do("ps-services", "ps", "--services")
        compose.do("by-name", "exec", "-T", "web", "wget", "-qO-", "http://db/")
        compose.do("by-alias", "exec", "-T", "web", "wget", "-qO-", "http://database/")
        compose.do("by-project", "exec", "-T", "web", "wget", "-qO-", "http://proj_db_1/")
        compose.do("exec-status", "exec", "-T", "web", "sh", "-c", "echo $NAME; exit 3")
        compose.do("logs", "logs", "--no-color", "web")
        compose.do("port", "port", "web", "80")
        compose.do("top", "top", "absent")
        compose.do("up-again", "up", "-d")
        compose.do("scale", "up", "-d", "--scale", "db=2")
        compose.do("run", "run", "--rm", "-T", "web", "wget", "-qO-", "http://db/", errors=False)
        compose.do("stop", "stop", "-t", "1")
        compose.do("ps-stopped", "ps")
        compose.do("start", "start")
        compose.do("restart", "restart", "-t", "1", "web")
        compose.do("kill", "kill", "db")
        compose.do("rm", "rm", "-f")
        compose.do("down", "down", "-v", "-t", "1")
        compose.do("after", "ps", "-q")
        json.dump(compose.steps, sys.stdout)


if __name__ == "__main__":
    os.environ.setdefault("COMPOSE_API_VERSION", "1.41")
    main()
