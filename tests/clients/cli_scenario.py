"""The docker CLI, as its users type it: status and both outputs of every command."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time


class Cli:
    def __init__(self, program):
        self.program = program
        self.steps = []

    def run(self, *args):
        return subprocess.run([self.program, *args], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)

    def do(self, step, *args):
        done = self.run(*args)
        self.steps.append((step, {"status": done.returncode, "stdout": done.stdout,
                                  "stderr": done.stderr}))

    def do_json(self, step, *args):
        done = self.run(*args)
        self.steps.append((step, json.loads(done.stdout) if done.returncode == 0
                           else {"status": done.returncode, "stderr": done.stderr}))


def containers(cli, folder):
    (folder / "env").write_text("FROM_FILE=1\n# comment\nPLAIN\n")
    cli.do("run-echo", "run", "--rm", "busybox", "echo", "hi")
    cli.do("run-streams", "run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2")
    cli.do("run-status", "run", "--rm", "busybox", "sh", "-c", "exit 3")
    cli.do("run-killed", "run", "--rm", "busybox", "sh", "-c", "kill -9 $$")
    cli.do("run-missing-command", "run", "--rm", "busybox", "nosuch")
    cli.do("run-not-executable", "run", "--rm", "busybox", "/etc")
    cli.do("run-missing-image", "run", "--rm", "--pull", "never", "absent.example/none")
    cli.do("run-bad-name", "run", "--name", "a/b", "busybox", "true")
    cli.do("run-bad-memory", "run", "--memory", "1m", "busybox", "true")
    cli.do("run-bad-network", "run", "--rm", "--network", "absent", "busybox", "true")
    cli.do("run-bad-mount", "run", "--rm", "-v", "relative/x:/y", "busybox", "true")
    cli.do("run-missing-bind", "run", "--rm", "--mount", "type=bind,src=/absent,dst=/y", "busybox",
           "true")
    cli.do("run-bad-capability", "run", "--rm", "--cap-add", "NOSUCH", "busybox", "true")
    cli.do("run-bad-user", "run", "--rm", "-u", "nobody-here", "busybox", "true")
    cli.do("run-bad-directory", "run", "--rm", "-w", "relative", "busybox", "true")
    cli.do("run-flags", "run", "--rm", "-e", "A=1", "--env-file", str(folder / "env"), "-h", "box",
           "-w", "/tmp", "-u", "1000:1001", "busybox", "sh", "-c",
           "echo $A $FROM_FILE; hostname; pwd; id")
    cli.do("run-tmpfs", "run", "--rm", "--tmpfs", "/t:size=1m", "busybox", "sh", "-c",
           "grep ' /t ' /proc/mounts | cut -d' ' -f1-3")
    cli.do("run-read-only", "run", "--rm", "--read-only", "busybox", "touch", "/x")
    cli.do("run-cidfile", "run", "--rm", "--cidfile", str(folder / "cid"), "busybox", "true")
    cli.do("run-hosts", "run", "--rm", "--add-host", "db:10.9.8.7", "busybox", "grep", "10.9.8.7",
           "/etc/hosts")
    cli.do("create", "create", "--name", "one", "--label", "a=b", "-p", "127.0.0.1:28080:80",
           "--stop-signal", "INT", "busybox", "sh", "-c",
           "trap 'echo bye; exit 7' INT; echo ready; while :; do sleep 0.1; done")
    cli.do_json("inspect-created", "inspect", "one")
    cli.do("start", "start", "one")
    cli.do("start-again", "start", "one")
    for _ in range(100):
        if "ready" in cli.run("logs", "one").stdout:
            break
        time.sleep(0.05)
    cli.do("logs", "logs", "one")
    cli.do_json("inspect-running", "inspect", "one")
    cli.do("ps", "ps", "--no-trunc", "--format",
           "{{.Names}}|{{.Image}}|{{.Command}}|{{.Ports}}|{{.State}}|{{.Labels}}|{{.Networks}}")
    cli.do("port", "port", "one")
    cli.do("exec", "exec", "one", "echo", "there")
    cli.do("exec-status", "exec", "one", "sh", "-c", "exit 5")
    cli.do("exec-missing", "exec", "one", "nosuch")
    cli.do("exec-user", "exec", "-u", "7:8", "-w", "/bin", "-e", "X=y", "one", "sh", "-c",
           "id -u; pwd; echo $X")
    cli.do("exec-absent", "exec", "absent", "true")
    cli.do("name-taken", "create", "--name", "one", "busybox", "true")
    cli.do("rename", "rename", "one", "uno")
    cli.do("rename-taken", "rename", "uno", "uno")
    cli.do("pause", "pause", "uno")
    cli.do("pause-again", "pause", "uno")
    cli.do("exec-paused", "exec", "uno", "true")
    cli.do("unpause", "unpause", "uno")
    cli.do("rm-running", "rm", "uno")
    cli.do("stop", "stop", "uno")
    cli.do("stop-again", "stop", "uno")
    cli.do("exec-stopped", "exec", "uno", "true")
    cli.do("kill-stopped", "kill", "uno")
    cli.do("wait-stopped", "wait", "uno")
    cli.do("logs-stopped", "logs", "uno")
    cli.do_json("inspect-exited", "inspect", "uno")
    cli.do("ps-all", "ps", "-a", "--format", "{{.Names}}|{{.Status}}")
    cli.do("ps-filter", "ps", "-aq", "--filter", "nosuch=1")
    cli.do("rm", "rm", "uno")
    cli.do("rm-absent", "rm", "uno")
    cli.do("inspect-absent", "inspect", "uno")
    cli.do("kill-signal", "kill", "-s", "NOSUCH", "uno")


def of_the_engine(cli):
    """The socket in a container, as testcontainers, Traefik and Portainer have it."""
    socket = os.environ["DOCKER_HOST"].removeprefix("unix://")
    inner = ["-v", f"{socket}:/var/run/docker.sock", "-v", f"{cli.program}:/bin/docker:ro",
             "busybox", "docker"]
    cli.do("socket-ps", "run", "--rm", "--name", "inner", *inner, "ps", "-a", "--format",
           "{{.Names}}")
    cli.do("socket-run", "run", "--rm", *inner, "run", "--rm", "busybox", "echo", "hi")
    cli.do("df", "system", "df", "--format", "{{.Type}} {{.TotalCount}} {{.Active}}")
    cli.do("login-refused", "login", "-u", "ann", "-p", "secret", "127.0.0.1:1")


def others(cli):
    cli.do("network-create", "network", "create", "--subnet", "10.77.0.0/24", "--label", "x=y",
           "net")
    cli.do("network-again", "network", "create", "net")
    cli.do("network-bad-driver", "network", "create", "-d", "nosuch", "other")
    cli.do_json("network-inspect", "network", "inspect", "net")
    cli.do("network-run", "run", "-d", "--name", "nc", "--network", "net", "--ip", "10.77.0.9",
           "--network-alias", "alias", "busybox", "sleep", "100")
    cli.do("network-name", "exec", "nc", "nslookup", "-type=a", "alias.net")
    cli.do("network-rm-used", "network", "rm", "net")
    cli.do("network-connect", "network", "connect", "bridge", "nc")
    cli.do("network-connect-again", "network", "connect", "bridge", "nc")
    cli.do("network-connect-absent", "network", "connect", "bridge", "absent")
    cli.do("network-disconnect", "network", "disconnect", "bridge", "nc")
    cli.do("network-disconnect-again", "network", "disconnect", "bridge", "nc")
    cli.do_json("network-container", "inspect", "nc", "--format",
                "{{json .NetworkSettings.Networks}}")
    cli.do("network-rm-container", "rm", "-f", "nc")
    cli.do("network-rm", "network", "rm", "net")
    cli.do("network-rm-absent", "network", "rm", "net")
    cli.do("network-rm-bridge", "network", "rm", "bridge")
    cli.do("network-ls", "network", "ls", "--format", "{{.Name}} {{.Driver}} {{.Scope}}")
    cli.do("volume-run", "run", "--rm", "-v", "vol:/data", "busybox", "sh", "-c",
           "echo kept > /data/file")
    cli.do("volume-again", "run", "--rm", "--mount", "type=volume,src=vol,dst=/data,readonly",
           "busybox", "sh", "-c", "cat /data/file; touch /data/x")
    cli.do("volumes-from-source", "create", "--name", "source", "-v", "vol:/data", "busybox",
           "true")
    cli.do("volumes-from", "run", "--rm", "--volumes-from", "source:ro", "busybox", "sh", "-c",
           "cat /data/file; touch /data/x")
    cli.do("volume-source-rm", "rm", "source")
    cli.do_json("image-inspect", "image", "inspect", "busybox")
    cli.do("image-tag", "tag", "busybox", "again:1")
    cli.do("image-ls", "image", "ls", "--filter", "reference=again", "--format",
           "{{.Repository}}:{{.Tag}}")
    cli.do("image-user", "create", "--name", "user", "again:1", "true")
    cli.do("image-rm", "rmi", "again:1")
    cli.do("image-rm-absent", "rmi", "again:1")
    cli.do("image-user-rm", "rm", "user")


def main():
    cli = Cli(os.environ["DOCKER_CLI"])
    with tempfile.TemporaryDirectory() as folder:
        containers(cli, pathlib.Path(folder))
    of_the_engine(cli)
    others(cli)
    json.dump(cli.steps, sys.stdout)


if __name__ == "__main__":
    main()
