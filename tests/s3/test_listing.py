"""Many keys, from a server that only lists."""

import contextlib
import functools
import hashlib
import http.server
import json
import os
import threading
import time
import urllib.parse

import pytest

FOLDERS = 200
PAGE = 1000


@functools.cache
def contents(begin, end):
    """Made once: the client is measured, not this server."""
    return "".join(
        f"<Contents><Key>PREFIX{number:06}.jpg</Key><Size>4000</Size><ETag>"
        f"&quot;{hashlib.md5(b'%d' % number).hexdigest()}&quot;</ETag>"
        "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
        for number in range(begin, end)
    )


class Listing(http.server.BaseHTTPRequestHandler):
    """Lists `keys` keys below in/label-NNN/ of any bucket, as ListObjectsV2 does.

    No object can be had. The last folder is listed once `start` is set; asking for an object sets
    it.
    """

    protocol_version = "HTTP/1.1"
    keys = 0
    start: threading.Event

    def do_GET(self):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        if "list-type" not in query:
            self.start.set()
            self.send_response(400)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        prefix = query["prefix"][0]
        entries, token = "", ""
        if "delimiter" in query:
            for folder in range(FOLDERS):
                name = f"in/label-{folder:03}/"
                entries += f"<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>"
        else:
            if prefix == f"in/label-{FOLDERS - 1:03}/" and not self.start.wait(60):
                return
            begin = int(query.get("continuation-token", ["0"])[0])
            end = min(begin + PAGE, self.keys // FOLDERS)
            entries = contents(begin, end).replace("PREFIX", prefix)
            if end < self.keys // FOLDERS:
                token = f"<NextContinuationToken>{end}</NextContinuationToken>"
        truncated = "true" if token else "false"
        body = (
            '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult>'
            f"<IsTruncated>{truncated}</IsTruncated>{token}{entries}</ListBucketResult>"
        ).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 512  # connections that come at once

    def handle_error(self, *_):
        """The other side is gone."""


@contextlib.contextmanager
def listing(keys):
    """The server's address, and the event that it waits for."""
    start = threading.Event()
    handler = type("Listing", (Listing,), {"keys": keys, "start": start})
    with Server(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", start
        finally:
            server.shutdown()


def list_only(pomona, endpoint, *command):
    """Peak memory in bytes of a command that fails with the first object it asks for."""
    environment = os.environ | {
        "AWS_ENDPOINT_URL_S3": endpoint,
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
    }
    error, to = os.pipe()
    process = os.posix_spawn(
        pomona, [pomona, *command], environment, file_actions=[(os.POSIX_SPAWN_DUP2, to, 2)]
    )
    os.close(to)
    with open(error) as stream:
        message = stream.read()
    usage = os.wait4(process, 0)[2]
    assert message.startswith("pomona: cannot read s3://any/in/label-000/0000"), message
    return usage.ru_maxrss * 1024


def test_work_starts_while_the_listing_runs(pomona, tmp_path):
    """With a fragment of 4,096 items, which are in other folders than the last one."""
    with listing(5_000) as (endpoint, start):
        list_only(pomona, endpoint, "run", "s3://any/in", str(tmp_path), "--quiet")
        assert start.is_set()


@pytest.mark.long
def test_a_million_keys(pomona):
    peaks = []
    for keys in (1_000, 1_000_000):
        with listing(keys) as (endpoint, start):
            start.set()
            begin = time.monotonic()
            # This mode depends on all labels, so that nothing is read before the listing's end.
            peaks.append(list_only(pomona, endpoint, "check", "s3://any/in", "--mode", "mini"))
            seconds = time.monotonic() - begin
    bytes_a_key = (peaks[1] - peaks[0]) / 1e6
    print(json.dumps({"bytes_a_key": bytes_a_key, "seconds": seconds}))
    # The pages under way are held, an item with its path of 47 characters is not.
    assert bytes_a_key < 40
