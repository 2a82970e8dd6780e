"""The ways to a server: whose requests they are, and by which detours they go."""

import contextlib
import datetime
import hashlib
import http.server
import json
import re
import socket
import threading
import urllib.parse

import pytest
from proxy import Proxy, error


def listed(finished):
    assert finished.returncode == 0, finished.stderr
    return len(finished.stdout.splitlines())


@contextlib.contextmanager
def giving(answer):
    """A server's URL; answer(request, body) gives what it says, or None to refuse."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            text = answer(self, body)
            self.send_response(400 if text is None else 200)
            text = (text or "").encode()
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_POST = do_PUT = do_GET

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def in_minutes(minutes):
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=minutes)


@pytest.fixture
def nobody(tmp_path):
    """An environment without credentials; its home has room for a profile."""
    (tmp_path / ".aws").mkdir()
    return {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "HOME": str(tmp_path)}


@pytest.fixture
def lemons(sample_bucket):
    """Lists ten pictures."""
    url = sample_bucket.url("in/Training/Lemon")
    return lambda **environment: sample_bucket.run("check", url, "--json", **environment)


def keys(server):
    """As the instance, containers and processes give them."""
    return {"AccessKeyId": server.access_key, "SecretAccessKey": server.secret_key, "Version": 1}


def sts(server, action):
    return (
        f"<{action}Response><{action}Result><Credentials><AccessKeyId>{server.access_key}"
        f"</AccessKeyId><SecretAccessKey>{server.secret_key}</SecretAccessKey>"
        "<SessionToken></SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration>"
        f"</Credentials></{action}Result></{action}Response>"
    )


def test_a_process(lemons, nobody, server, tmp_path):
    given = tmp_path / "given.json"
    given.write_text(json.dumps(keys(server) | {"Expiration": "2100-01-01T00:00:00+00:00"}))
    config = tmp_path / ".aws/config"
    config.write_text(f"[profile fruits]\ncredential_process = cat '{given}'\n")
    assert listed(lemons(**nobody, AWS_PROFILE="fruits")) == 10
    config.write_text("[profile fruits]\ncredential_process = false\n")
    refused = lemons(**nobody, AWS_PROFILE="fruits")
    assert refused.returncode == 1
    told = "the credential_process of the profile failed: false: it failed with exit code 1\n"
    assert refused.stderr.endswith(told)
    for command in ("TOKEN=secret false", "false\tsecret", "'/no such/secret'"):
        config.write_text(f"[profile fruits]\ncredential_process = {command}\n")
        refused = lemons(**nobody, AWS_PROFILE="fruits")
        assert refused.returncode == 1
        assert "secret" not in refused.stderr.splitlines()[-1]  # before it: what the shell says


@pytest.mark.long
def test_a_process_that_does_not_end(lemons, nobody, tmp_path):
    (tmp_path / ".aws/config").write_text("[profile fruits]\ncredential_process = sleep 1000\n")
    refused = lemons(**nobody, AWS_PROFILE="fruits")
    assert refused.returncode == 1
    assert refused.stderr.endswith(
        "the credential_process of the profile was killed after 60 seconds: sleep; "
        "run it in a shell to see what it is waiting for\n"
    )


def test_a_profile_that_is_not_there(lemons, nobody, server):
    """Nobody else's credentials are taken in its place."""
    with giving(lambda *_: json.dumps(keys(server))) as url:
        refused = lemons(**nobody, AWS_PROFILE="frutis", AWS_CONTAINER_CREDENTIALS_FULL_URI=url)
    assert refused.returncode == 1
    assert "there is no profile 'frutis' in " in refused.stderr


def test_a_container(lemons, nobody, server):
    def answer(request, _):
        allowed = request.path == "/role" and request.headers["authorization"] == "Bearer me"
        return json.dumps(keys(server)) if allowed else None

    with giving(answer) as url:
        container = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{url}/role"}
        container["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "Bearer me"
        assert listed(lemons(**nobody, **container)) == 10


def test_a_web_identity(lemons, nobody, server, tmp_path):
    (tmp_path / "token").write_text("a+b/c=\n")

    def answer(request, body):
        form = {name: value for name, (value,) in urllib.parse.parse_qs(body).items()}
        assert "authorization" not in request.headers
        if (form["RoleArn"], form["WebIdentityToken"]) != ("arn:aws:iam::1:role/x", "a+b/c="):
            return None
        return sts(server, form["Action"])

    with giving(answer) as url:
        identity = {"AWS_ENDPOINT_URL_STS": url, "AWS_ROLE_ARN": "arn:aws:iam::1:role/x"}
        identity["AWS_WEB_IDENTITY_TOKEN_FILE"] = str(tmp_path / "token")
        assert listed(lemons(**nobody, **identity)) == 10


def test_a_role_of_a_profile(lemons, nobody, server, tmp_path):
    (tmp_path / ".aws/config").write_text(
        "[profile work]\nrole_arn = arn:aws:iam::1:role/y\nsource_profile = base\n"
        "external_id = e\nregion = eu-west-1\n"
    )
    (tmp_path / ".aws/credentials").write_text(
        "[base]\naws_access_key_id = somebody\naws_secret_access_key = else\n"
    )

    def answer(request, body):
        form = urllib.parse.parse_qs(body)
        signed = re.search(
            "Credential=somebody/[0-9]*/eu-west-1/sts/", request.headers["authorization"]
        )
        return sts(server, "AssumeRole") if signed and form["ExternalId"] == ["e"] else None

    with giving(answer) as url:
        assert listed(lemons(**nobody, AWS_PROFILE="work", AWS_ENDPOINT_URL_STS=url)) == 10


def single_sign_on(home):
    """The file in which `aws sso login` leaves the token of the profile that it makes."""
    (home / ".aws/config").write_text(
        "[sso-session ours]\nsso_region = eu-west-1\nsso_start_url = https://x\n"
        "[default]\nsso_session = ours\nsso_account_id = 1\nsso_role_name = reader\n"
    )
    cache = home / ".aws/sso/cache"
    cache.mkdir(parents=True)
    return cache / (hashlib.sha1(b"ours").hexdigest() + ".json")


def test_single_sign_on(lemons, nobody, server, tmp_path):
    given = {"accessKeyId": server.access_key, "secretAccessKey": server.secret_key}
    given |= {"sessionToken": "", "expiration": 4102444800000}
    token = single_sign_on(tmp_path)

    def answer(request, _):
        allowed = request.headers["x-amz-sso_bearer_token"] == "bearer"
        assert request.path == "/federation/credentials?account_id=1&role_name=reader"
        return json.dumps({"roleCredentials": given}) if allowed else None

    with giving(answer) as url:
        refused = lemons(**nobody, AWS_ENDPOINT_URL_SSO=url)
        assert "has expired: call `aws sso login`" in refused.stderr
        token.write_text(json.dumps({"accessToken": "bearer", "expiresAt": "2100-01-01T00:00:00Z"}))
        assert listed(lemons(**nobody, AWS_ENDPOINT_URL_SSO=url)) == 10


LOGGED_IN = {
    "startUrl": "https://x",
    "region": "eu-west-1",
    "accessToken": "old",
    "clientId": "client",
    "clientSecret": "secret",
    "registrationExpiresAt": "2100-01-01T00:00:00Z",
    "refreshToken": "first",
}
# What asks for a fresh token, as botocore's SSOTokenProvider has it.
WANTED = {
    "grantType": "refresh_token",
    "clientId": "client",
    "clientSecret": "secret",
    "refreshToken": "first",
}
REFRESHED = {"accessToken": "fresh", "expiresIn": 3600, "refreshToken": "second"}


@contextlib.contextmanager
def sso(server, refreshing):
    """Environment that leads to a service, and what it was asked: tokens' requests, bearers.

    refreshing: gives the answer to who wants a fresh token, None to refuse.
    """
    role = {"accessKeyId": server.access_key, "secretAccessKey": server.secret_key}
    role |= {"sessionToken": "", "expiration": 4102444800000}
    wanted, bearers = [], []

    def answer(request, body):
        if request.path == "/token":
            wanted.append((request.headers["content-type"], json.loads(body)))
            given = refreshing()
            return given and json.dumps(given)
        bearers.append(request.headers["x-amz-sso_bearer_token"])
        return json.dumps({"roleCredentials": role})

    with giving(answer) as url:
        yield {"AWS_ENDPOINT_URL_SSO": url, "AWS_ENDPOINT_URL_SSO_OIDC": url}, wanted, bearers


@pytest.mark.parametrize(
    ("minutes", "given", "asks", "who"),
    [
        (-60, REFRESHED, True, "fresh"),
        (10, REFRESHED, True, "fresh"),
        (10, None, True, "old"),
        (20, REFRESHED, False, "old"),
    ],
)
def test_refreshes_single_sign_on(lemons, nobody, server, tmp_path, minutes, given, asks, who):
    """In the file that AWS' tools share."""
    left = LOGGED_IN | {"expiresAt": f"{in_minutes(minutes):%Y-%m-%dT%H:%M:%SZ}"}
    token = single_sign_on(tmp_path)
    token.write_text(json.dumps(left))
    with sso(server, lambda: given) as (environment, wanted, bearers):
        assert listed(lemons(**nobody, **environment)) == 10
    assert wanted == [("application/json", WANTED)] * asks
    assert bearers == [who]
    stored = json.loads(token.read_text())
    if who == "fresh":
        expires = datetime.datetime.fromisoformat(stored.pop("expiresAt"))
        assert abs(expires - in_minutes(60)) < datetime.timedelta(minutes=5)
        left = LOGGED_IN | {"accessToken": "fresh", "refreshToken": "second"}
    assert stored == left
    assert [path.name for path in token.parent.iterdir()] == [token.name]


def test_a_login_that_others_refresh(lemons, nobody, server, tmp_path):
    """A refresh token may serve once: whoever comes second takes what the first one stored."""
    token = single_sign_on(tmp_path)
    token.write_text(json.dumps(LOGGED_IN | {"expiresAt": "2020-01-01T00:00:00Z"}))

    def somebody_else():
        theirs = {"accessToken": "theirs", "expiresAt": "2100-01-01T00:00:00Z"}
        token.write_text(json.dumps(LOGGED_IN | theirs))

    with sso(server, somebody_else) as (environment, wanted, bearers):
        assert listed(lemons(**nobody, **environment)) == 10
    assert len(wanted) == 1
    assert bearers == ["theirs"]


@pytest.mark.parametrize(
    ("lacks", "why"),
    [
        (None, "HTTP status 400"),
        ("registrationExpiresAt", "the registration of AWS' tools has ended"),
        ("refreshToken", "it has no refreshToken"),
    ],
)
def test_a_login_that_cannot_be_refreshed(lemons, nobody, server, tmp_path, lacks, why):
    left = LOGGED_IN | {"expiresAt": "2020-01-01T00:00:00Z"}
    left.pop(lacks, None)
    token = single_sign_on(tmp_path)
    token.write_text(json.dumps(left))
    with sso(server, lambda: None) as (environment, wanted, bearers):
        refused = lemons(**nobody, **environment)
    assert "has expired and cannot be refreshed (" in refused.stderr
    assert why in refused.stderr
    assert "): call `aws sso login`" in refused.stderr
    assert len(wanted) == (lacks is None)
    assert not bearers
    assert json.loads(token.read_text()) == left


@pytest.mark.parametrize("early", [False, True])
def test_credentials_that_expire_in_mid_run(sample_bucket, nobody, server, early):
    """Those that have been looked for early, in vain, are looked for again."""
    asked = 0
    soon = in_minutes(4)

    def answer(*_):
        nonlocal asked
        asked += 1
        if early and asked == 1:
            return json.dumps(keys(server) | {"Expiration": f"{soon:%Y-%m-%dT%H:%M:%SZ}"})
        return None if early and asked == 2 else json.dumps(keys(server))

    expired = False

    def decide(verb, path):
        nonlocal expired
        if not path.endswith("1_100.jpg") or expired:
            return None
        expired = True
        return "expired"

    with giving(answer) as url, Proxy(sample_bucket.endpoint) as proxy:
        proxy.decide = decide
        finished = sample_bucket.run(
            "check",
            sample_bucket.url("in/Training/Lemon"),
            "--json",
            "--s3-endpoint",
            proxy.endpoint,
            **nobody,
            AWS_CONTAINER_CREDENTIALS_FULL_URI=url,
        )
    assert listed(finished) == 10
    assert expired
    assert asked == 2 + early


class Answering(Proxy):
    """Answers the first request in its own way, and keeps the heads of all."""

    def __init__(self, server, first, **options):
        super().__init__(server, **options)
        self.first = first
        self.heads = []

    async def _answer(self, verb, path, request, writer, *streams):
        self.heads.append(request.split(b"\r\n\r\n", 1)[0].decode())
        if len(self.heads) > 1:
            await super()._answer(verb, path, request, writer, *streams)
            return
        status, headers, body = self.first
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(
            f"HTTP/1.1 {status} x\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        )
        await writer.drain()


def test_another_region(sample_bucket, lemons):
    body = error("AuthorizationHeaderMalformed").replace(
        b"<Code>", b"<Region>eu-west-3</Region><Code>"
    )
    with Answering(sample_bucket.endpoint, (400, {}, body)) as proxy:
        assert listed(lemons(AWS_ENDPOINT_URL_S3=proxy.endpoint)) == 10
    assert "/us-east-1/s3/" in proxy.heads[0]
    assert "/eu-west-3/s3/" in proxy.heads[1]


def test_another_place(sample_bucket, lemons):
    """Once: the next request comes to the same door again."""
    with Proxy(sample_bucket.endpoint) as other:
        path = f"/{sample_bucket.name}/?delimiter=%2F&encoding-type=url&list-type=2"
        path += "&prefix=in%2FTraining%2FLemon%2F"
        location = {"Location": other.endpoint + path}
        with Answering(sample_bucket.endpoint, (307, location, b"")) as proxy:
            assert listed(lemons(AWS_ENDPOINT_URL_S3=proxy.endpoint)) == 10
    assert other.log == [("GET", path)]
    assert len(proxy.heads) == 1 + 10


def test_a_clock_that_is_behind(sample_bucket, lemons):
    ahead = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=10)
    date = {"Date": ahead.strftime("%a, %d %b %Y %H:%M:%S GMT")}
    with Answering(sample_bucket.endpoint, (403, date, error("RequestTimeTooSkewed"))) as proxy:
        assert listed(lemons(AWS_ENDPOINT_URL_S3=proxy.endpoint)) == 10
    first, second = (
        datetime.datetime.fromisoformat(re.search("x-amz-date: (.*)\r", head)[1])
        for head in proxy.heads[:2]
    )
    assert second - first >= datetime.timedelta(minutes=9)


def test_a_proxy(sample_bucket, lemons):
    with Proxy(sample_bucket.endpoint) as proxy:
        by = {"AWS_ENDPOINT_URL_S3": "http://s3.example.invalid", "HTTP_PROXY": proxy.endpoint}
        assert listed(lemons(**by, NO_PROXY="example.com, 127.0.0.1")) == 10
        assert all(path.startswith("http://s3.example.invalid/") for _, path in proxy.log)
        # The name has no address.
        refused = lemons(**by, NO_PROXY=".example.invalid")
    assert refused.returncode == 1
    assert "no connection to http://s3.example.invalid: " in refused.stderr


def test_ipv6(sample_bucket, lemons):
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 on this machine")
    with Proxy(sample_bucket.endpoint, host="::1") as proxy:
        assert proxy.endpoint.startswith("http://[::1]:")
        assert listed(lemons(AWS_ENDPOINT_URL_S3=proxy.endpoint)) == 10


@pytest.mark.long
def test_a_server_that_accepts_and_never_answers(lemons):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(64)
        refused = lemons(AWS_ENDPOINT_URL_S3=f"http://127.0.0.1:{server.getsockname()[1]}")
    assert refused.returncode == 1
    assert refused.stderr.endswith(": the server did not answer in time\n")
