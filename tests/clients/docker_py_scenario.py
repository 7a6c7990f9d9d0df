"""The Python library: what its objects say, and status and text of its errors."""
import json
import sys

import docker
from docker.errors import APIError, ContainerError

STEPS = []


def step(name, value):
    STEPS.append((name, value))


def error(step_name, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
        step(step_name, "no error")
    except APIError as failed:
        step(step_name, {"status": failed.status_code, "text": failed.explanation,
                    "type": type(failed).__name__})
    except ContainerError as failed:
        step(step_name, {"status": failed.exit_status, "text": str(failed)})


def containers(client):
    step("run", client.containers.run("busybox", ["echo", "hi"], remove=True).decode())
    error("run-failing", client.containers.run, "busybox", ["sh", "-c", "exit 2"], remove=True)
    one = client.containers.run("busybox", ["sh", "-c", "echo a; echo b >&2; sleep 100"],
                                name="py", detach=True, environment={"K": "v"},
                                labels={"l": "1"}, hostname="pyhost", mem_limit="64m",
                                cpu_shares=512, ulimits=[docker.types.Ulimit(name="nofile", soft=99,
                                                                             hard=100)],
                                extra_hosts={"db": "10.1.2.3"}, dns=["10.0.0.1"], cap_drop=["ALL"],
                                tmpfs={"/t": "size=64k"}, read_only=True, group_add=["5"])
    one.reload()
    host = one.attrs["HostConfig"]
    step("attrs", {"keys": sorted(one.attrs), "host": host, "config": one.attrs["Config"],
                   "state": sorted(one.attrs["State"]), "status": one.status,
                   "mounts": one.attrs["Mounts"]})
    code, output = one.exec_run(["sh", "-c", "echo $K; ulimit -n; cat /proc/self/status | "
                                             "grep -E 'Groups|CapBnd'; exit 4"])
    step("exec", {"code": code, "output": output.decode()})
    code, (out, err) = one.exec_run(["sh", "-c", "echo o; echo e >&2"], demux=True)
    step("exec-demux", {"code": code, "out": out.decode(), "err": err.decode()})
    stream = one.exec_run(["sh", "-c", "echo 1; echo 2"], stream=True).output
    step("exec-stream", b"".join(stream).decode())
    step("logs", {"out": one.logs(stderr=False).decode(), "err": one.logs(stdout=False).decode()})
    step("list", [{"name": c.name, "status": c.status, "labels": c.labels}
                  for c in client.containers.list(filters={"label": "l=1"})])
    listed = client.api.containers(filters={"name": "py"})[0]
    step("list-keys", {key: type(value).__name__ for key, value in listed.items()})
    one.pause()
    one.reload()
    step("paused", one.status)
    one.unpause()
    error("rm-running", one.remove)
    one.kill()
    step("wait", one.wait())
    error("get-absent", client.containers.get, "absent")
    error("start-absent", client.api.start, "absent")
    error("name-taken", client.containers.create, "busybox", "true", name="py")
    error("no-image", client.containers.create, "absent.example/none")
    one.remove()


def others(client):
    net = client.networks.create("pynet", driver="bridge", internal=True, labels={"n": "1"})
    step("network", {key: value for key, value in net.attrs.items() if key != "IPAM"})
    one = client.containers.create("busybox", ["sleep", "100"], name="pyn", network="pynet")
    net2 = client.networks.create("pynet2")
    net2.connect(one, aliases=["other"])
    one.start()
    one.reload()
    step("networks", one.attrs["NetworkSettings"]["Networks"])
    net2.reload()
    step("network-members", list(net2.attrs["Containers"].values()))
    net2.disconnect(one)
    error("network-used", net.remove)
    error("network-taken", client.networks.create, "pynet", check_duplicate=True)
    one.remove(force=True)
    net.remove()
    net2.remove()
    error("network-absent", client.networks.get, "pynet")
    for name, value in [("info", client.info()), ("version", client.version()),
                        ("df", client.df())]:
        step(name, {key: type(value).__name__ for key, value in value.items()})
    image = client.images.get("busybox")
    step("image", {"tags": image.tags,
                   "attrs": {key: type(value).__name__ for key, value in image.attrs.items()}})
    step("image-list", [{key: type(value).__name__ for key, value in one.items()}
                        for one in client.api.images()])
    made = client.containers.create("busybox", "true")
    client.api.commit(made.id)
    made.remove()
    untagged = [one for one in client.api.images() if one["RepoTags"] != ["busybox:latest"]]
    step("image-untagged", [{key: one[key] for key in ("RepoTags", "RepoDigests")}
                            for one in untagged])
    client.images.remove(untagged[0]["Id"])
    error("image-absent", client.images.get, "absent:1")
    events = client.events(since=0, until=1, decode=True)
    step("events-none", list(events))


def main():
    client = docker.DockerClient(base_url=sys.argv[1], version="1.41")
    step("ping", client.ping())
    containers(client)
    others(client)
    json.dump(STEPS, sys.stdout)


main()
