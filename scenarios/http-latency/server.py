"""A faulty web server with a diary: the workload of http-latency, and an oracle of it.

One request in a hundred sleeps for up to a second, seven in a thousand are answered with status 500. Both come
from one seeded generator. Whatever the server did, it writes down: one JSON line per request, in the form of an
exchange log.
"""

import asyncio
import json
import random
import time

SEED_PATH = "/run/lab/seed"
LOG_PATH = "/lab/out/server.jsonl"
SLOW_SHARE = 0.01
SLOWEST_SECONDS = 1.0
ERROR_SHARE = 0.007

ANSWERS = {200: b'{"message": "Hello, world"}', 500: b'{"error": "as configured"}'}


class Faults:
    """What goes wrong with each request."""

    def __init__(self):
        self.generator = None

    def next(self):
        """The pause in seconds and the status of the next request."""
        # The server starts before the checkpoint that all seeds share, so the seed is read as late as it can be.
        if self.generator is None:
            with open(SEED_PATH, encoding="ascii") as file:
                self.generator = random.Random(int(file.read()))
        # Three draws for every request, so that one request's fate never depends on another's kind.
        is_slow = self.generator.random() < SLOW_SHARE
        pause_seconds = self.generator.random() * SLOWEST_SECONDS
        status = 500 if self.generator.random() < ERROR_SHARE else 200
        return (pause_seconds if is_slow else 0.0), status


class Diary:
    """The exchange log."""

    def __init__(self):
        self.file = None
        self.counts = {}

    def number(self, client):
        """Which request of its connection this is, from 1."""
        self.counts[client] = self.counts.get(client, 0) + 1
        return self.counts[client]

    def write(self, **exchange):
        if self.file is None:
            self.file = open(LOG_PATH, "w", buffering=1, encoding="ascii")
        self.file.write(json.dumps(exchange, separators=(",", ":")) + "\n")


faults = Faults()
diary = Diary()


async def app(scope, receive, send):
    start_ns = time.monotonic_ns()
    if scope["type"] != "http":
        return
    if scope["path"] == "/ready":
        await answer(send, 200)
        return
    host, port = scope["client"]
    client = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    number = diary.number(client)
    pause_seconds, status = faults.next()
    if pause_seconds > 0:
        await asyncio.sleep(pause_seconds)

    def before_last_byte():
        diary.write(
            client=client,
            n=number,
            method=scope["method"],
            status=status,
            start_ns=start_ns,
            end_ns=time.monotonic_ns(),
        )

    await answer(send, status, before_last_byte)


async def answer(send, status, before_last_byte=lambda: None):
    """Head and body are two messages, which the server below sends as two segments."""
    body = ANSWERS[status]
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    before_last_byte()
    await send({"type": "http.response.body", "body": body})
