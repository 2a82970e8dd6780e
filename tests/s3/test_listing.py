"""A million keys, from a server that only lists."""

import contextlib
import http.server
import json
import os
import threading
import urllib.parse

import pytest

FOLDERS = 200
PAGE = 1000


class Listing(http.server.BaseHTTPRequestHandler):
    """Lists `keys` keys below in/label-NNN/ of any bucket, as ListObjectsV2 does."""

    protocol_version = "HTTP/1.1"
    keys = 0

    def do_GET(self):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        prefix = query["prefix"][0]
        entries, token = "", ""
        if "delimiter" in query:
            for folder in range(FOLDERS):
                name = f"in/label-{folder:03}/"
                entries += f"<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>"
        else:
            begin = int(query.get("continuation-token", ["0"])[0])
            end = min(begin + PAGE, self.keys // FOLDERS)
            for number in range(begin, end):
                entries += (
                    f"<Contents><Key>{prefix}{number:06}.jpg</Key><Size>4000</Size>"
                    "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
                )
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


@contextlib.contextmanager
def listing(keys):
    handler = type("Listing", (Listing,), {"keys": keys})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def list_only(pomona, endpoint, output):
    """The run's error, which comes after the listing, and its peak memory in bytes."""
    command = [pomona, "run", "s3://any/in", str(output), "--include", "none", "--quiet"]
    environment = os.environ | {
        "AWS_ENDPOINT_URL_S3": endpoint,
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
    }
    error, to = os.pipe()
    process = os.posix_spawn(
        pomona, command, environment, file_actions=[(os.POSIX_SPAWN_DUP2, to, 2)]
    )
    os.close(to)
    with open(error) as stream:
        message = stream.read()
    usage = os.wait4(process, 0)[2]
    return message, usage.ru_maxrss * 1024


@pytest.mark.long
def test_a_million_keys(pomona, tmp_path):
    with listing(1_000) as endpoint:
        message, little = list_only(pomona, endpoint, tmp_path / "little")
        assert message.startswith("pomona: no files under s3://any/in")
    with listing(1_000_000) as endpoint:
        message, much = list_only(pomona, endpoint, tmp_path / "much")
        assert message.startswith("pomona: no files under s3://any/in")
    print(json.dumps({"bytes_a_key": (much - little) / 1e6}))
    # The item with its path of 47 characters, twice while the list grows, and the pages under way.
    assert (much - little) / 1e6 < 400
