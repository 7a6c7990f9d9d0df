"""A real application of three tiers under docker-compose: nginx, a web application in Python and
PostgreSQL with a named volume. Prints what its user sees, step by step; nothing in it depends on
time, addresses or ids."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.request

PORT = 28086
PROJECT = f"""
version: "3.8"
services:
  db:
    image: debian
    user: postgres
    command:
      - sh
      - -ec
      - |
        bin=/usr/lib/postgresql/15/bin; data=/var/lib/postgresql/own
        if ! [ -d $$data ]; then
          $$bin/initdb -A trust $$data
          echo 'host all all all trust' >> $$data/pg_hba.conf
        fi
        exec $$bin/postgres -D $$data -k /tmp -h '*'
    volumes: ["data:/var/lib/postgresql"]
    networks: [back]
    restart: unless-stopped
    healthcheck:
      test: ["CMD", "pg_isready", "-h", "/tmp"]
      interval: 1s
  app:
    image: debian
    user: www-data
    command: python3 /app/app.py
    volumes: ["./app:/app:ro"]
    environment: {{DATABASE: db}}
    depends_on: [db]
    read_only: true
    networks: [front, back]
  web:
    image: debian
    command: nginx -c /etc/nginx/own.conf -g 'daemon off;'
    volumes: ["./nginx.conf:/etc/nginx/own.conf:ro"]
    tmpfs: [/run]
    depends_on: [app]
    ports: ["127.0.0.1:{PORT}:80"]
    networks: [front]
volumes: {{data: {{}}}}
networks: {{front: {{}}, back: {{internal: true}}}}
"""
NGINX = """
error_log /dev/stderr;
events {}
http {
    access_log off;
    resolver 127.0.0.11 valid=1s;
    server {
        listen 80;
        set $upstream http://app:8000;
        location / { proxy_pass $upstream; proxy_set_header X-Real-IP $remote_addr; }
    }
}
"""
APP = """
import http.server
import os
import signal
import socket

import psycopg2

signal.signal(signal.SIGTERM, lambda *_: os._exit(0))


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with psycopg2.connect(host=os.environ["DATABASE"], user="postgres") as connection:
            with connection.cursor() as cursor:
                cursor.execute("create table if not exists visits (place text)")
                if self.path != "/count":
                    cursor.execute("insert into visits values (%s)", (self.path,))
                cursor.execute("select count(*) from visits where place = '/kept'")
                count, = cursor.fetchone()
        body = f"{socket.gethostname()} {count}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()
"""


class Application:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.steps = []
        (self.folder / "docker-compose.yml").write_text(PROJECT)
        (self.folder / "nginx.conf").write_text(NGINX)
        (self.folder / "app").mkdir()
        (self.folder / "app/app.py").write_text(APP)

    def compose(self, *args):
        return subprocess.run(["docker-compose", "--no-ansi", "-p", "shop", *args],
                              cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=180)

    def do(self, step, *args):
        done = self.compose(*args)
        self.steps.append((step, {"status": done.returncode, "stdout": done.stdout}))
        if done.returncode != 0:
            print(step, done.stderr, file=sys.stderr)

    def saw(self, step, what):
        self.steps.append((step, what))

    def get(self, path):
        """The name of the container that answered and the number of visits; None: no answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{PORT}{path}", timeout=20) as reply:
                host, count = reply.read().decode().split()
                return host, int(count)
        except (OSError, ValueError):
            return None

    def visits(self):
        """Once the whole way works."""
        for _ in range(300):
            seen = self.get("/count")
            if seen:
                return seen[1]
            time.sleep(0.1)
        return None

    def answering(self, wanted):
        """How many containers answer, once it is as many as wanted."""
        for _ in range(100):
            hosts = {seen[0] for seen in (self.get("/count") for _ in range(20)) if seen}
            if len(hosts) == wanted:
                break
            time.sleep(0.3)
        return len(hosts)

    def play(self):
        self.do("up", "up", "-d")
        self.saw("first visits", self.visits())
        for _ in range(3):
            self.get("/kept")
        self.saw("visits", self.visits())
        self.do("services", "ps", "--services", "--filter", "status=running")
        self.do("scale", "up", "-d", "--scale", "app=3")
        self.saw("scaled", self.answering(3))
        names = self.compose("exec", "-T", "web", "getent", "ahostsv4", "app").stdout
        self.saw("addresses of app", len({line.split()[0] for line in names.splitlines()}))
        self.do("database is not reached from the web", "exec", "-T", "web", "sh", "-c",
                "getent hosts db || echo none")
        self.do("scale back", "up", "-d", "-t", "1", "--scale", "app=1")
        self.saw("scaled back", self.answering(1))
        self.do("restart", "restart", "-t", "1")
        self.saw("visits after restart", self.visits())
        self.get("/kept")
        self.do("kill the database", "kill", "-s", "KILL", "db")
        self.do("start it again", "start", "db")
        self.saw("visits after the kill", self.visits())
        self.do("down", "down", "-t", "1")
        self.saw("down", self.get("/count"))
        self.do("up again", "up", "-d")
        self.saw("visits kept", self.visits())
        self.do("down with the data", "down", "-v", "-t", "1")
        self.do("up anew", "up", "-d")
        self.saw("visits gone", self.visits())
        self.do("end", "down", "-v", "-t", "0")
        self.do("after", "ps", "-q")


def main():
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        application = Application(folder)
        try:
            application.play()
        finally:
            application.compose("down", "-v", "-t", "0")
        json.dump(application.steps, sys.stdout)


if __name__ == "__main__":
    os.environ.setdefault("COMPOSE_API_VERSION", "1.41")
    main()
