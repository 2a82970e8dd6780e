"""Trees on S3, read from a real server."""

import http.server
import io
import json
import random
import re
import ssl
import threading
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

import PIL.Image
import pytest
import servers
from proxy import Proxy


def verdicts(finished):
    assert finished.returncode == 0, finished.stderr
    return [json.loads(line) for line in finished.stdout.splitlines()]


@pytest.fixture(scope="session")
def picture(sample_tree):
    return next(sample_tree.rglob("*.jpg")).read_bytes()


@pytest.mark.parametrize("scheme", ["s3", "s3a", "s3n", "S3"])
def test_schemes(sample_bucket, scheme):
    url = f"{scheme}://{sample_bucket.name}/in/Training/Lemon"
    found = verdicts(sample_bucket.run("check", url, "--json"))
    assert len(found) == 10
    assert found[0]["path"].startswith(sample_bucket.url("in/Training/Lemon/"))
    assert {each["verdict"] for each in found} == {"ok"}


KEYS = [
    "a b/ x  y .jpg",
    "a..b/c..d.jpg",
    "e=q/=.jpg",
    "p%20c/%41%2F.jpg",
    "p+l/+.jpg",
    "q?x=1&y#z/?#.jpg",
    "quo'te\"/<&>.jpg",
    "Äpfel/größe 梨.jpg",
    "~/~!$(),:;@*.jpg",
]


def test_keys_are_taken_as_they_are(bucket, picture):
    for key in KEYS:
        bucket.put(f"in put/{key}", picture)
    # What others leave to mark folders is no file.
    bucket.files.create_dir(f"{bucket.name}/in put/marker/inner")
    bucket.put("in put/empty.jpg", b"")
    bucket.put("in put2/other.jpg", picture)
    found = verdicts(bucket.run("check", bucket.url("in put/"), "--json"))
    expected = sorted(bucket.url(f"in put/{key}") for key in [*KEYS, "empty.jpg"])
    assert [each["path"] for each in found] == sorted(expected, key=str.encode)
    assert {each["label"] for each in found} == {key.split("/")[0] for key in KEYS} | {"in put"}
    assert {each["path"]: each["reason"] for each in found if each["verdict"] != "ok"} == {
        bucket.url("in put/empty.jpg"): "empty"
    }


def test_keys_that_xml_cannot_hold(bucket, picture):
    keys = ["in/bell\a/1.jpg", "in/esc\x1b/\x01.jpg"]
    for key in keys:
        bucket.put(key, picture)
    finished = bucket.run("check", bucket.url("in"), "--json")
    if not bucket.server.lists_any_key:
        assert finished.returncode == 1
        assert "the server lists it as a folder but nothing in it" in finished.stderr
        return
    assert [(each["path"], each["verdict"]) for each in verdicts(finished)] == [
        (bucket.url(key), "ok") for key in keys
    ]


@pytest.mark.parametrize("said", [True, False])
def test_an_etag_that_is_no_digest(bucket, picture, said):
    """As those of objects that a service's keys encrypt. Where nothing says so, the same bytes do,
    come twice."""
    bucket.put("in/a/1.jpg", picture)

    def edit(head):
        etag = re.sub(rb'(?i)\r\netag: "[^"]*"', b'\r\nETag: "' + b"0" * 32 + b'"', head)
        encrypted = b"\r\nx-amz-server-side-encryption: aws:kms\r\n\r\n"
        return etag.replace(b"\r\n\r\n", encrypted) if said else etag

    with Proxy(bucket.endpoint) as proxy:
        proxy.edit_head = edit
        command = ["check", bucket.url("in"), "--json", "--s3-endpoint", proxy.endpoint]
        assert [each["verdict"] for each in verdicts(bucket.run(*command))] == ["ok"]
        assert len(proxy.log) == (3 if said else 4)  # the root, the folder, the object


def test_a_whole_bucket_and_the_order_of_paths(bucket, picture):
    for key in ["b/1.jpg", "a/2.jpg", "a/10.jpg", "a-b/1.jpg", "a0.jpg", "a/d/1.jpg"]:
        bucket.put(key, picture)
    for url in (bucket.url(), f"s3://{bucket.name}"):
        found = verdicts(bucket.run("check", url, "--json"))
        keys = [each["path"].removeprefix(bucket.url()) for each in found]
        assert keys == ["a-b/1.jpg", "a/10.jpg", "a/2.jpg", "a/d/1.jpg", "a0.jpg", "b/1.jpg"]
        assert [each["label"] for each in found] == ["a-b", "a", "a", "d", "", "b"]


def test_folders_beside_training_are_named(bucket, picture):
    for key in ("Training/a/1.jpg", "Test/a/2.jpg", "out/a/3.jpg", ".git/4.jpg", "5.jpg"):
        bucket.put(f"in/{key}", picture)
    url = bucket.url("in")
    said = f"pomona: only {url}/Training is read; to read a folder beside it "
    finished = bucket.run("check", url)
    assert finished.stderr == f"{said}(Test, out), name that folder as INPUT\n"
    finished = bucket.run("run", url, f"{url}/out/runs", "--pca-components", "1")
    assert f"{said}(Test), name that folder as INPUT\n" in finished.stderr
    finished = bucket.run("run", url, f"{url}/Training")
    assert finished.returncode == 1
    assert (
        "the folder that is read, and nothing in it is taken for input; name another OUTPUT\n"
        in finished.stderr
    )


def test_listings_of_many_pages(bucket, picture, tmp_path):
    expected = ["in/few/1.jpg", "in/few/2.jpg"]
    for key in expected:
        bucket.put(key, picture)
    with Proxy(bucket.endpoint) as proxy:
        for number in range(2100):
            expected.append(f"in/many/{number:05}.txt")
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda key: bucket.put(key, b"no image"), expected[2:]))
        bucket.endpoint = proxy.endpoint
        found = verdicts(bucket.run("check", bucket.url("in"), "--json"))
        listings = sum("list-type" in path for verb, path in proxy.log)
        options = ["--run-id", "test", "--pca-components", "1", "--quiet"]
        assert bucket.run("run", bucket.url("in"), tmp_path, *options).returncode == 0
    assert [each["path"] for each in found] == [bucket.url(key) for key in expected]
    assert listings == 5  # the root's, the smaller folder's and three pages of the other's
    run_info = json.loads((tmp_path / "run_info/run_info_test/part-00000.json").read_text())
    assert run_info["s3"]["reads"]["listings"] == listings


def listing_prefixes(proxy):
    """What was asked for in listings that went below the root."""
    queries = [urllib.parse.parse_qs(path.partition("?")[2]) for _, path in proxy.log]
    return sorted(
        query["prefix"][0] for query in queries if "list-type" in query and "delimiter" not in query
    )


@pytest.mark.parametrize(
    ("globs", "prefixes", "keys"),
    [
        ([], ["in/Kiwi/", "in/tmp/"], ["Kiwi/a/1.jpg", "Kiwi/b/1.jpg", "root.jpg", "tmp/1.jpg"]),
        (["--include", "Kiwi/*"], ["in/Kiwi/"], ["Kiwi/a/1.jpg", "Kiwi/b/1.jpg"]),
        (["--include", "Kiwi/a/*"], ["in/Kiwi/a/"], ["Kiwi/a/1.jpg"]),
        (
            ["--include", "Kiwi/c/d/*", "--include", "t*"],
            ["in/Kiwi/c/d/", "in/tmp/"],
            ["tmp/1.jpg"],
        ),
        (["--exclude", "tmp/*"], ["in/Kiwi/"], ["Kiwi/a/1.jpg", "Kiwi/b/1.jpg", "root.jpg"]),
    ],
)
def test_lists_only_what_globs_may_take(bucket, picture, globs, prefixes, keys):
    for key in ["Kiwi/a/1.jpg", "Kiwi/b/1.jpg", "root.jpg", "tmp/1.jpg"]:
        bucket.put(f"in/{key}", picture)
    for key in ["Kiwi/.x/1.jpg", "Kiwi/._1.jpg", "__MACOSX/1.jpg", ".Trash-0/files/1.jpg"]:
        bucket.put(f"in/{key}", picture)
    with Proxy(bucket.endpoint) as proxy:
        options = ["--json", "--s3-endpoint", proxy.endpoint, *globs]
        found = verdicts(bucket.run("check", bucket.url("in"), *options))
        assert listing_prefixes(proxy) == prefixes
    assert [each["path"].removeprefix(bucket.url("in/")) for each in found] == keys


def test_fetches_only_the_start_of_what_is_no_image(bucket, picture, tmp_path):
    large = io.BytesIO()  # with no extension, larger than what is read ahead
    PIL.Image.new("RGB", (2400, 2400), "red").save(large, "BMP")
    medium = picture + bytes(200_000)
    for key, content in {
        "1.jpg": picture,
        "medium": medium,
        "large": large.getvalue(),
        "notes.txt": b"a note",
        "film.mp4": bytes(300_000),
        "archive.zip": b"PK" + bytes(20_000_000),
        "film.jpg": bytes(20_000_000),
    }.items():
        bucket.put(f"in/Kiwi/{key}", content)
    run_id = ["--run-id", "test", "--pca-components", "1", "--formats", "csv"]
    finished = bucket.run("run", bucket.url("in"), tmp_path, *run_id)
    assert finished.returncode == 0, finished.stderr
    info = json.loads((tmp_path / "run_info/run_info_test/part-00000.json").read_text())
    assert (info["counts"]["rows"], info["counts"]["rejects"], info["counts"]["skips"]) == (3, 1, 3)
    whole = len(picture) + len(medium) + len(large.getvalue()) + len(b"a note")
    starts = 4096 * len(["medium", "large", "film.mp4", "archive.zip", "film.jpg"])
    assert info["s3"]["reads"]["bytes"] == whole + starts


def test_a_large_object_comes_in_ranges(bucket, tmp_path):
    """Five at once at most, one of them the first of the next object; all of one state."""
    image = PIL.Image.frombytes("RGB", (2600, 2700), random.Random(1).randbytes(2600 * 2700 * 3))
    image.save(tmp_path / "noise.tif")
    content = (tmp_path / "noise.tif").read_bytes()
    assert len(content) > 20_000_000
    bucket.put("in/Kiwi/noise.tif", content)
    (tmp_path / "in/Kiwi").mkdir(parents=True)
    (tmp_path / "noise.tif").rename(tmp_path / "in/Kiwi/noise.tif")
    (local,) = verdicts(bucket.run("check", tmp_path / "in", "--json"))
    replaced = threading.Event()
    with Proxy(bucket.endpoint, latency=0.05) as proxy:
        check = ["check", bucket.url("in"), "--json", "--s3-endpoint", proxy.endpoint]
        (found,) = verdicts(bucket.run(*check))
        gets = [path for verb, path in proxy.log if verb == "GET" and "noise.tif" in path]
        assert len(gets) == 4  # its first bytes, then eight MiB each
        assert 1 < proxy.most_at_once <= 4
        assert {**found, "path": ""} == {**local, "path": ""}

        def decide(verb, path):
            if verb == "GET" and "noise.tif" in path:
                gets.append(path)
                if len(gets) == 7 and not replaced.is_set():  # before the second range
                    replaced.set()
                    image.rotate(180).save(tmp_path / "turned.tif")
                    bucket.put("in/Kiwi/noise.tif", (tmp_path / "turned.tif").read_bytes())

        proxy.decide = decide
        (turned,) = verdicts(bucket.run(*check))
    assert replaced.is_set()
    (tmp_path / "turned.tif").rename(tmp_path / "in/Kiwi/noise.tif")
    (local,) = verdicts(bucket.run("check", tmp_path / "in", "--json"))
    assert {**turned, "path": ""} == {**local, "path": ""}
    assert turned != found


def test_reads_ahead_within_bounds(sample_bucket):
    with Proxy(sample_bucket.endpoint, latency=0.2) as proxy:
        sample_bucket_url = sample_bucket.url("in")
        finished = sample_bucket.run("check", sample_bucket_url, "--s3-endpoint", proxy.endpoint)
        assert finished.returncode == 0, finished.stderr
        assert 32 < proxy.most_at_once <= 128


def broken(sample_bucket, *arguments, **environment):
    finished = sample_bucket.run("check", *arguments, **environment)
    assert finished.returncode == 1
    assert finished.stderr.count("\n") == 1, finished.stderr
    return finished.stderr


def test_says_what_is_wrong(sample_bucket):
    url = sample_bucket.url("in")
    assert broken(sample_bucket, "s3://no-such-bucket/in") == (
        "pomona: cannot list s3://no-such-bucket/in: there is no such bucket (NoSuchBucket)\n"
    )
    assert "there is nothing below it" in broken(sample_bucket, sample_bucket.url("nothing"))
    assert "the access key is not known there (" in broken(
        sample_bucket, url, AWS_ACCESS_KEY_ID="somebody"
    )
    assert "the secret key does not belong to the access key" in broken(
        sample_bucket, url, AWS_SECRET_ACCESS_KEY="wrong"
    )
    assert "permission denied (AccessDenied)" in broken(sample_bucket, url, "--s3-anonymous")
    assert "no connection to http://127.0.0.1:1: Could not connect" in broken(
        sample_bucket, url, "--s3-endpoint", "http://127.0.0.1:1"
    )
    plain = sample_bucket.endpoint.removeprefix("http://")
    assert f"taken for https, name http://{plain} if it has no TLS" in broken(
        sample_bucket, url, "--s3-endpoint", plain
    )
    wrong = {
        "s3:///in": "expected s3://bucket/prefix",
        sample_bucket.url("a//b"): "cannot be empty",
    }
    for uri, words in wrong.items():
        finished = sample_bucket.run("check", uri)
        assert finished.returncode == 2 and words in finished.stderr


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("expired", "the session token has expired; renew the credentials (ExpiredToken)"),
        ("skewed", "this machine's clock differs too much from the server's"),
        ("access_denied", "permission denied (AccessDenied)"),
        ("redirect", "the bucket is in another region; set AWS_REGION (PermanentRedirect)"),
    ],
)
def test_says_what_the_server_objects_to(sample_bucket, answer, words):
    with Proxy(sample_bucket.endpoint) as proxy:
        proxy.decide = lambda verb, path: answer
        url = sample_bucket.url("in")
        message = broken(sample_bucket, url, "--s3-endpoint", proxy.endpoint)
        assert message.startswith(f"pomona: cannot list {url}: ")
        assert words in message


def test_says_where_it_looked_for_credentials(sample_bucket, tmp_path):
    nothing = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "HOME": str(tmp_path)}
    url = sample_bucket.url("in")
    files = f"{tmp_path}/.aws/credentials and {tmp_path}/.aws/config"
    assert f"permission denied (AccessDenied); no credentials were found in {files}" in broken(
        sample_bucket, url, **nothing
    ).replace("AWS_ACCESS_KEY_ID, ", "")
    (tmp_path / ".aws").mkdir()
    config = tmp_path / ".aws/config"
    config.write_text("[default]\nregion = eu-west-1\n[profile fruits]\nregion = eu-west-1\n")
    for profile in ("", "fruits"):
        message = broken(sample_bucket, url, **nothing, AWS_PROFILE=profile)
        assert "no credentials were found" in message
    message = broken(sample_bucket, url, **nothing, AWS_PROFILE="nobody")
    assert f"there is no profile 'nobody' in {files}" in message
    assert "credentials" not in broken(sample_bucket, url, "--s3-anonymous", **nothing)
    # Writing with none is refused otherwise.
    written = sample_bucket.run("run", tmp_path, sample_bucket.url("out"), **nothing)
    assert written.returncode == 1
    assert "no credentials were found" in written.stderr


def test_settings_come_from_where_aws_tools_take_them(sample_bucket, tmp_path):
    profile = tmp_path / "credentials"
    server = sample_bucket.server
    profile.write_text(
        f"[default]\naws_access_key_id = somebody\naws_secret_access_key = else\n"
        f"[fruits]\naws_access_key_id = {server.access_key}\n"
        f"aws_secret_access_key = {server.secret_key}\n"
    )
    environment = sample_bucket.environment(
        AWS_SHARED_CREDENTIALS_FILE=str(profile),
        AWS_PROFILE="fruits",
        AWS_ENDPOINT_URL="http://127.0.0.1:1",
        AWS_DEFAULT_REGION="eu-central-1",
    )
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        del environment[name]
    sample_bucket.environment = lambda **more: environment | more
    try:
        url = sample_bucket.url("in/Training/Lemon")
        assert len(verdicts(sample_bucket.run("check", url, "--json"))) == 10
        refused = broken(sample_bucket, url, AWS_PROFILE="default")
        assert "the access key is not known there" in refused
    finally:
        del sample_bucket.environment


def test_credentials_of_the_instance(sample_bucket):
    server = sample_bucket.server

    class Metadata(http.server.BaseHTTPRequestHandler):
        """What an EC2 instance may ask about its role."""

        def answer(self, text):
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def do_PUT(self):
            self.answer("token")

        def do_GET(self):
            assert self.headers["x-aws-ec2-metadata-token"] == "token"
            keys = {"AccessKeyId": server.access_key, "SecretAccessKey": server.secret_key}
            keys |= {"Code": "Success", "Token": "", "Expiration": "2100-01-01T00:00:00Z"}
            self.answer(json.dumps(keys) if self.path.endswith("/fruits") else "fruits")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Metadata) as metadata:
        threading.Thread(target=metadata.serve_forever).start()
        finished = sample_bucket.run(
            "check",
            sample_bucket.url("in/Training/Lemon"),
            "--json",
            AWS_ACCESS_KEY_ID="",
            AWS_SECRET_ACCESS_KEY="",
            AWS_EC2_METADATA_DISABLED="false",
            AWS_EC2_METADATA_SERVICE_ENDPOINT=f"http://127.0.0.1:{metadata.server_port}",
        )
        metadata.shutdown()
    assert len(verdicts(finished)) == 10


@pytest.fixture
def certificate(tmp_path):
    """A server's certificate that it signed itself; its key is beside it."""
    servers.certify(tmp_path)
    return tmp_path / "public.crt"


def tls(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("private.key"))
    return context


@pytest.mark.parametrize("https", [True, False])
def test_objects_that_shrink_after_they_were_listed(bucket, certificate, https):
    """Bitmaps: nothing in their rows tells that some are missing."""
    file = io.BytesIO()
    PIL.Image.new("RGB", (64, 64), "red").save(file, "BMP")
    for name in ("1", "2", "3"):
        bucket.put(f"in/a/{name}.bmp", file.getvalue())
    left = {"2": file.getvalue()[:-1000], "3": file.getvalue()[:100]}

    def decide(verb, path):
        if path.endswith(".bmp") and (name := path[-5]) in left:
            bucket.put(f"in/a/{name}.bmp", left.pop(name))

    with Proxy(bucket.endpoint, tls=tls(certificate) if https else None) as proxy:
        proxy.decide = decide
        command = ["check", bucket.url("in"), "--s3-endpoint", proxy.endpoint, "--json"]
        finished = bucket.run(*command, AWS_CA_BUNDLE=str(certificate))
    assert finished.returncode == 0, finished.stderr
    assert [line.get("reason") for line in verdicts(finished)] == [None, "truncated", "truncated"]


def test_tls(sample_bucket, certificate):
    context = tls(certificate)
    nobody = {"AWS_CA_BUNDLE": "", "SSL_CERT_FILE": "", "SSL_CERT_DIR": ""}
    with Proxy(sample_bucket.endpoint, tls=context) as proxy:
        command = [sample_bucket.url("in/Training/Lemon"), "--s3-endpoint", proxy.endpoint]
        for name in ("AWS_CA_BUNDLE", "SSL_CERT_FILE"):
            proxy.log.clear()
            authority = nobody | {name: str(certificate)}
            finished = sample_bucket.run("check", *command, "--json", **authority)
            assert len(verdicts(finished)) == 10
            # The listing, and one request an object.
            assert len(proxy.log) == 11
        assert (
            f"no connection to {proxy.endpoint}: its certificate is not signed by a trusted CA"
            in broken(sample_bucket, *command, **nobody)
        )
    assert "AWS_CA_BUNDLE: cannot read /nowhere" in broken(
        sample_bucket, *command, **nobody | {"AWS_CA_BUNDLE": "/nowhere"}
    )
    assert "expected http:// or https://" in broken(
        sample_bucket, sample_bucket.url(), "--s3-endpoint", "ftp://127.0.0.1"
    )


def test_schemes_of_endpoints_in_any_case(sample_bucket):
    endpoint = sample_bucket.endpoint.replace("http://", "HTTP://")
    url = sample_bucket.url("in/Training/Lemon")
    assert len(verdicts(sample_bucket.run("check", url, "--json", "--s3-endpoint", endpoint))) == 10
