"""As much of a Kubernetes API server as a client needs that lists and watches: resource versions, field selectors, pages of
bookmarks, versions that are gone, tokens. It is told of objects by its caller, and it can be away.
"""

import http.server
import json
import queue
import threading
import urllib.parse

TOKEN = "a-token-of-this-scenario"
KINDS = {"pods": "Pod", "namespaces": "Namespace", "nodes": "Node"}


def field(value, path):
    """What a field selector compares."""
    for name in path.split("."):
        value = value.get(name, {})
    return value


class Objects:
    """All there is, and who wants to hear of changes. It outlives the server, as etcd does."""

    def __init__(self):
        self.lock = threading.Lock()
        self.version = 100
        # Older versions than this are forgotten.
        self.oldest = 100
        self.all = {resource: {} for resource in KINDS}
        self.log = []
        self.watchers = []

    def change(self, kind, resource, thing):
        """ADDED, MODIFIED or DELETED."""
        with self.lock:
            self.version += 1
            thing["metadata"]["resourceVersion"] = str(self.version)
            key = (thing["metadata"].get("namespace"), thing["metadata"]["name"])
            if kind == "DELETED":
                del self.all[resource][key]
            else:
                self.all[resource][key] = thing
            event = (self.version, resource, kind, json.loads(json.dumps(thing)))
            self.log.append(event)
            for watcher in self.watchers:
                watcher.put(event)

    def forget(self):
        """Nobody can watch from an older version than the present one."""
        with self.lock:
            self.oldest = self.version
            self.log.clear()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def status(self, code, reason):
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": reason,
                "message": reason, "code": code}

    def shown(self, kind, thing):
        """The whole object, or what is said of it, as the client accepts."""
        if "as=PartialObjectMetadata" in self.headers.get("Accept", ""):
            return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": thing["metadata"]}
        return {"kind": kind, "apiVersion": "v1", **thing}

    def do_GET(self):
        server = self.server
        address = urllib.parse.urlsplit(self.path)
        resource = address.path.removeprefix("/api/v1/")
        wanted = dict(urllib.parse.parse_qsl(address.query))
        server.seen.add((resource, "watch" if wanted.get("watch") == "true" else "list", wanted.get("fieldSelector")))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.answer(401, self.status(401, "Unauthorized"))
        if resource not in KINDS:
            return self.answer(404, self.status(404, "NotFound"))
        path, _, value = wanted.get("fieldSelector", "").partition("=")
        is_meant = (lambda thing: field(thing, path) == value) if path else (lambda thing: True)
        if wanted.get("watch") == "true":
            return self.watch(resource, is_meant, int(wanted["resourceVersion"]))
        objects = server.objects
        with objects.lock:
            items = [thing for thing in objects.all[resource].values() if is_meant(thing)]
            version = objects.version
        kind = KINDS[resource]
        partial = "as=PartialObjectMetadata" in self.headers.get("Accept", "")
        self.answer(200, {
            "kind": "PartialObjectMetadataList" if partial else f"{kind}List",
            "apiVersion": "meta.k8s.io/v1" if partial else "v1",
            "metadata": {"resourceVersion": str(version)},
            "items": [self.shown(kind, thing) for thing in items],
        })

    def watch(self, resource, is_meant, version):
        objects = self.server.objects
        events = queue.Queue()
        with objects.lock:
            is_gone = version < objects.oldest
            for event in objects.log:
                if event[0] > version:
                    events.put(event)
            objects.watchers.append(events)
        self.server.watching.append((self.connection, events))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if is_gone:
            self.send_event("ERROR", self.status(410, "Expired"))
        # Nothing means that the server goes away.
        while not is_gone and (event := events.get()):
            _, of, kind, thing = event
            if of == resource and is_meant(thing):
                self.send_event(kind, self.shown(KINDS[resource], thing))
        self.close_connection = True
        if is_gone:
            self.wfile.write(b"0\r\n\r\n")

    def send_event(self, kind, thing):
        line = json.dumps({"type": kind, "object": thing}).encode() + b"\n"
        self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        self.wfile.flush()


class ApiServer:
    """One that can be started and stopped again and again, with the same objects."""

    def __init__(self, port):
        self.address = ("127.0.0.1", port)
        self.objects = Objects()
        self.seen = set()
        self.server = None

    def start(self):
        http.server.ThreadingHTTPServer.allow_reuse_address = True
        self.server = http.server.ThreadingHTTPServer(self.address, Handler)
        self.server.daemon_threads = True
        self.server.objects, self.server.seen, self.server.watching = self.objects, self.seen, []
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self):
        """As a machine that is switched off: whoever watches is cut off in the middle."""
        self.server.shutdown()
        self.server.server_close()
        for connection, events in self.server.watching:
            events.put(None)
            connection.close()
        with self.objects.lock:
            self.objects.watchers.clear()
        self.server = None
