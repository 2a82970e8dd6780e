"""A proxy in front of an S3 server that makes it slow and unreliable, by rates and a seed."""

import asyncio
import collections
import random
import re
import socket
import struct
import threading
import urllib.parse

import pytest


def error(code, message="As the test asked."):
    """As long as what S3 says."""
    name = "0123456789abcdef" * 8
    return (
        f"<Error><Code>{code}</Code><Message>{message}</Message>"
        f"<Resource>/any</Resource><RequestId>{name}</RequestId><HostId>{name}</HostId></Error>"
    ).encode()


# Answers in place of the server's.
ANSWERS = {
    "slow_down": (503, error("SlowDown")),
    "internal": (500, error("InternalError")),
    "unavailable": (503, b""),
    "incomplete": (400, error("IncompleteBody")),
    "bad_digest": (400, error("BadDigest")),
    "no_such_key": (404, error("NoSuchKey")),
    "access_denied": (403, error("AccessDenied")),
    "expired": (400, error("ExpiredToken")),
    "skewed": (403, error("RequestTimeTooSkewed")),
    "redirect": (301, error("PermanentRedirect")),
    "checksum_refused": (400, error("XAmzContentSHA256Mismatch")),
    "not_implemented": (501, error("NotImplemented")),
    "written": (200, b""),
    "md5_wanted": (400, error("InvalidRequest", "Content-MD5 OR x-amz-checksum- is required")),
}
# What can go wrong with a request: one of those; the connection reset before or after the server
# heard it; no answer at all; an answer that ends early. There is also "pause": it halts half-way.
TRANSIENT = ("slow_down", "internal", "unavailable", "reset", "lose_answer", "stall", "cut")


def seeds(count, short):
    """Seeds of runs, the first ones for the short suite."""
    return [pytest.param(seed, marks=[pytest.mark.long] * (seed >= short)) for seed in range(count)]


A_HUNDRED = seeds(100, short=2)
A_FEW = seeds(40, short=2)


class Fault(Exception):
    """The connection has to be reset."""


class ConnectionEnd(Exception):
    """The connection has to end."""


async def read_head(reader):
    """The first line's words and the raw head; None where the other side is gone."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None, b""
    return head.split(b"\r\n", 1)[0].decode("latin1").split(" ", 2), head


def header(head, name):
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip()
    return None


async def read_body(reader, head):
    if header(head, b"transfer-encoding") == b"chunked":
        body = b""
        while True:
            line = await reader.readuntil(b"\r\n")
            chunk = await reader.readexactly(int(line.split(b";")[0], 16) + 2)
            body += line + chunk
            if chunk == b"\r\n":
                return body
    return await reader.readexactly(int(header(head, b"content-length") or 0))


class Proxy:
    """Serves on a port of its own between `with` and its end.

    rates: by HTTP verb, a share of its requests that fail; `kinds` names the faults to choose from.
    decide: asked for each request, (verb, path with query) -> the name of a fault or None; wins.
    tls: an ssl.SSLContext, to be spoken to by https.
    """

    def __init__(
        self,
        server,
        rates=None,
        kinds=TRANSIENT,
        seed=0,
        latency=0.0,
        stall=60.0,
        tls=None,
        host="127.0.0.1",
    ):
        self.server = urllib.parse.urlsplit(server)
        self.rates = rates or {}
        self.kinds = kinds
        self.random = random.Random(seed)
        self.latency = latency
        self.stall = stall
        self.tls = tls
        self.host = host
        self.decide = lambda verb, path: None
        self.edit_head = lambda head: head  # of the server's answers
        self.requests = collections.Counter()  # by verb
        self.faults = collections.Counter()  # by name
        self.harmless = 0  # of those: nothing was there to be spoilt
        self.log = []  # (verb, path with query)
        self.most_at_once = 0
        self._at_once = 0

    def __enter__(self):
        self._loop = asyncio.new_event_loop()
        started = threading.Event()

        def serve():
            asyncio.set_event_loop(self._loop)
            listening = self._loop.run_until_complete(
                asyncio.start_server(
                    self._serve, self.host, 0, limit=2**24, backlog=512, ssl=self.tls
                )
            )
            port = listening.sockets[0].getsockname()[1]
            host = f"[{self.host}]" if ":" in self.host else self.host
            self.endpoint = f"{'https' if self.tls else 'http'}://{host}:{port}"
            started.set()
            self._loop.run_forever()
            listening.close()
            tasks = asyncio.all_tasks(self._loop)
            for task in tasks:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            self._loop.close()

        self._thread = threading.Thread(target=serve)
        self._thread.start()
        started.wait()
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _fault(self, verb, path, request):
        fault = self.decide(verb, path)
        if fault is None and self.random.random() < self.rates.get(verb, 0):
            fault = self.random.choice(self.kinds)
        if fault:
            self.faults[fault] += 1
        return fault

    async def _serve(self, reader, writer):
        upstream = None
        try:
            while True:
                words, head = await read_head(reader)
                if not words:
                    break
                if (header(head, b"expect") or b"").lower() == b"100-continue":
                    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                    head = re.sub(rb"\r\nexpect:[^\r]*", b"", head, flags=re.IGNORECASE)
                body = await read_body(reader, head)
                if upstream is None:
                    upstream = await asyncio.open_connection(
                        self.server.hostname, self.server.port, limit=2**24
                    )
                self._at_once += 1
                self.most_at_once = max(self.most_at_once, self._at_once)
                try:
                    await self._answer(words[0], words[1], head + body, writer, *upstream)
                finally:
                    self._at_once -= 1
        except (ConnectionEnd, asyncio.CancelledError):
            pass
        except (Fault, ConnectionError, asyncio.IncompleteReadError):
            # A reset, not an end: what was sent may not arrive.
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        finally:
            writer.close()
            if upstream:
                upstream[1].close()

    async def _answer(self, verb, path, request, writer, server_reader, server_writer):
        self.requests[verb] += 1
        self.log.append((verb, path))
        if self.latency:
            await asyncio.sleep(self.latency)
        fault = self._fault(verb, path, request)
        if fault in ANSWERS:
            status, text = ANSWERS[fault]
            text = b"" if verb == "HEAD" else text
            writer.write(b'HTTP/1.1 %d Fault\r\nETag: "0123"\r\n' % status)
            writer.write(b"Content-Length: %d\r\n\r\n" % len(text))
            writer.write(text)
            await writer.drain()
            return
        if fault == "reset":
            raise Fault
        if fault == "stall":
            await asyncio.sleep(self.stall)
            raise Fault
        server_writer.write(request)
        _, head = await read_head(server_reader)
        head = self.edit_head(head)
        bodyless = verb == "HEAD" or b" 204 " in head[:20] or b" 304 " in head[:20]
        body = b"" if bodyless else await read_body(server_reader, head)
        if fault == "lose_answer":
            raise Fault
        # Nothing vouches for the bytes of a listing.
        if fault == "flip_object" and (verb != "GET" or "list-type" in path or not body):
            self.harmless += 1
        elif fault == "flip_object":
            at = self.random.randrange(len(body))
            body = body[:at] + bytes([body[at] ^ 1 << self.random.randrange(8)]) + body[at + 1 :]
        if fault == "cut" and not body:
            self.harmless += 1
            fault = None
        await self._send(writer, fault, head, body)

    async def _send(self, writer, fault, head, body):
        """Sends the server's answer. Only its length tells that something is missing."""
        half = len(body) // 2 if fault in ("cut", "pause") else len(body)
        writer.write(head + body[:half])
        await writer.drain()
        if fault == "cut":
            raise ConnectionEnd
        if fault == "pause":
            await asyncio.sleep(1)
            writer.write(body[half:])
            await writer.drain()
