"""Containers come and go, and an API server tells of them and is away at times. A daemon with the manifest of the retrofit
source has to count the calls of one container alone; each call is one line that the program itself prints.
"""

import http.client
import json
import os
import pathlib
import sys
import time

import sched
from api_server import TOKEN, ApiServer
from daemon import Daemon, OwnDaemon, wait_for

NODE = "lab-node"
API_PORT, PORT = 6443, 9465
CACHE = "/tmp/pods.json"
COUNTER = "triangle_corp_area_total"
LINES = 20
LATE_SECONDS = 1.5


def container_id(number):
    """64 hexadecimal digits, as a container runtime would give."""
    return f"{number:064x}"


class Container:
    """A control group where the kubelet's systemd driver puts one, and a pod that tells of it."""

    def __init__(self, api, name, number, labels, namespace, node=NODE):
        self.api = api
        self.thing = {
            "metadata": {"name": name, "namespace": namespace, "uid": f"uid-{name}", "labels": labels},
            "spec": {"nodeName": node, "containers": [{"name": "area", "image": "area"}]},
            "status": {"phase": "Pending"},
        }
        self.pod_group = f"kubepods.slice/kubepods-pod{name}.slice"
        self.take_number(number)

    def take_number(self, number):
        self.id = container_id(number)
        self.group = f"{self.pod_group}/cri-containerd-{self.id}.scope"
        pathlib.Path(sched.CGROUPS, self.group).mkdir(parents=True)

    def tell(self, kind):
        """The pod as the API server has it from now on: what the kubelet says once the container runs."""
        self.thing["status"] = {"phase": "Running", "containerStatuses": [{
            "name": "area", "image": "area", "imageID": "", "ready": True, "restartCount": 0,
            "containerID": f"containerd://{self.id}",
        }]}
        self.api.objects.change(kind, "pods", self.thing)

    def withdraw(self):
        self.api.objects.change("DELETED", "pods", self.thing)

    def remove(self):
        pathlib.Path(sched.CGROUPS, self.group).rmdir()

    def call(self):
        """Runs the program in it; returns how many lines came."""
        ours, theirs = os.pipe()
        pid = sched.spawn(self.group, become, theirs)
        os.close(theirs)
        with os.fdopen(ours, "rb") as file:
            lines = len(file.readlines())
        assert os.waitpid(pid, 0)[1] == 0
        return lines


def become(pipe):
    os.dup2(pipe, 1)
    os.execv("/test", ["/test", str(LINES), "0"])


class Steps:
    """What was counted and printed at each step, and what was to be true."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.families = sched.Families()
        self.late = 0

    def calls(self, step, containers):
        """Compares the counter's rise with the lines that these containers print."""
        before = self.daemon.read().sum(COUNTER)
        lines = sum(container.call() for container in containers)
        self.families.gauge("lines", lines, step=step)
        self.families.gauge("calls", self.daemon.read().sum(COUNTER) - before, step=step)

    def said(self, what, is_true):
        self.families.gauge("said", int(is_true), what=what)

    def soon(self, condition):
        began = time.monotonic()
        wait_for(condition)
        self.late += time.monotonic() - began > LATE_SECONDS

    def watches(self, container):
        """Whether the program of this container is in place of a counter: its group has been found and the hook is in."""
        def is_found():
            reading = self.daemon.read()
            group = f"/{container.group}"
            return (reading.sum("probelab_container_info", cgroup=group, pod=container.thing["metadata"]["name"]) == 1
                    and reading.sum("probelab_attached", hook="uprobe:/test:area_") == 1)
        return is_found


def not_ready():
    """Why the daemon is not ready, as it says itself."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT)
    connection.request("GET", "/ready")
    answer = connection.getresponse()
    return answer.read().decode() if answer.status == 503 else ""


def main():
    kubeconfig = {
        "apiVersion": "v1", "kind": "Config", "current-context": "lab",
        "clusters": [{"name": "lab", "cluster": {"server": f"http://127.0.0.1:{API_PORT}"}}],
        "users": [{"name": "lab", "user": {"token": TOKEN}}],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "lab"}}],
    }
    pathlib.Path("kubeconfig").write_text(json.dumps(kubeconfig), encoding="ascii")
    os.environ.update(KUBECONFIG="kubeconfig", NODE_NAME=NODE)

    api = ApiServer(API_PORT)
    api.objects.change("ADDED", "nodes", {"metadata": {"name": NODE, "labels": {"zone": "a"}}})
    api.objects.change("ADDED", "nodes", {"metadata": {"name": "other-node", "labels": {}}})
    api.objects.change("ADDED", "namespaces", {"metadata": {"name": "triangle", "labels": {"project": "area"}}})
    api.objects.change("ADDED", "namespaces", {"metadata": {"name": "default", "labels": {}}})
    area, side = {"component": "area"}, {"component": "side"}
    one = Container(api, "area-1", 1, area, "triangle")
    others = [
        Container(api, "side-1", 2, side, "triangle"),
        Container(api, "area-elsewhere", 3, area, "default"),
        # The same number cannot be on two nodes; a client that asked for all nodes would take it for ours.
        Container(api, "area-far", 4, area, "triangle", node="other-node"),
    ]
    for container in [one, *others]:
        container.tell("ADDED")

    # Any loader does: who is watched is not the loader's business.
    daemon = OwnDaemon("observe-fortran.yaml", Daemon().loader(), PORT)
    daemon.command += ["--cluster", "--cluster-cache", CACHE]
    steps = Steps(daemon)
    daemon.begin()
    wait_for(lambda: daemon.get("/healthz") is not None)
    steps.said("not ready while nobody told of pods", "has not told" in not_ready())
    one.call()
    steps.said("nobody is watched then", daemon.read().sum(COUNTER) == 0)

    # The first error was at once; the next try comes within seconds.
    api.start()
    wait_for(steps.watches(one))
    wait_for(lambda: daemon.get("/ready") is not None)
    before = daemon.read().sum(COUNTER)
    steps.families.gauge("lines_of_others", sum(container.call() for container in others))
    steps.families.gauge("calls_of_others", daemon.read().sum(COUNTER) - before)
    steps.calls("told", [one])

    two = Container(api, "area-2", 5, area, "triangle")
    two.tell("ADDED")
    steps.soon(steps.watches(two))
    steps.calls("a second pod", [one, two])

    # A container that starts again has a new number; its pod's labels change.
    one.remove()
    one.take_number(6)
    one.tell("MODIFIED")
    steps.soon(steps.watches(one))
    steps.calls("a new container in the pod", [one, two])

    two.withdraw()
    two.remove()
    steps.soon(lambda: daemon.read().sum("probelab_container_info", pod="area-2") == 0)
    steps.said("what was counted stays", daemon.read().sum(COUNTER) >= 5 * LINES)

    api.stop()
    wait_for(lambda: daemon.read().sum("probelab_cluster_watch_errors_total", resource="pods") > 0)
    steps.said("ready without the API server", daemon.get("/ready") is not None)
    steps.calls("the API server away", [one])

    daemon.end()
    daemon.start()
    steps.said("not told since the start", daemon.read().sum("probelab_cluster_synced", resource="pods") == 0)
    wait_for(steps.watches(one))
    steps.calls("started while the API server is away", [one])

    # Meanwhile things have changed, and nobody can watch from where the first daemon was.
    three = Container(api, "area-3", 7, area, "triangle")
    three.tell("ADDED")
    others[0].thing["metadata"]["labels"] = area
    others[0].tell("MODIFIED")
    api.objects.forget()
    api.start()
    wait_for(steps.watches(three))
    wait_for(steps.watches(others[0]))
    steps.calls("the API server back", [one, three, others[0]])

    # The client's version is forgotten while it watches: it has to list again.
    api.stop()
    three.withdraw()
    api.objects.forget()
    api.start()
    wait_for(lambda: daemon.read().sum("probelab_container_info", pod="area-3") == 0)
    steps.calls("a version that is gone", [one, others[0]])
    steps.said("only this node's pods were asked for",
               {selector for resource, _, selector in api.seen if resource == "pods"} == {f"spec.nodeName={NODE}"})
    steps.said("the cache is what it says",
               [container["pod"] for container in json.loads(pathlib.Path(CACHE).read_text(encoding="utf-8"))["containers"]]
               == ["area-elsewhere", "area-1", "side-1"])
    daemon.end()
    daemon.command += ["--node-name", "nowhere"]
    daemon.begin()
    wait_for(lambda: daemon.get("/healthz") is not None)
    wait_for(lambda: "has no node" in not_ready())
    steps.said("a node that the cluster does not have is named", "nowhere" in not_ready())
    daemon.kill()
    steps.families.gauge("late_changes", steps.late)
    steps.families.print()


sys.exit(main())
