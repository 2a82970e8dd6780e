"""A bucket for each test, and the program with the way to it in its environment."""

import os
import subprocess

import pyarrow.fs
import pytest
import servers


class Bucket:
    """`endpoint`: where the program finds it; a proxy's, if a test puts one in front."""

    def __init__(self, pomona, server, name):
        self.pomona = pomona
        self.server = server
        self.endpoint = server.endpoint
        self.name = name
        self.files = server.file_system()
        self.files.create_dir(name)

    def url(self, key=""):
        return f"s3://{self.name}/{key}"

    def upload(self, folder, key):
        pyarrow.fs.copy_files(str(folder), f"{self.name}/{key}", destination_filesystem=self.files)

    def download(self, key, folder):
        pyarrow.fs.copy_files(f"{self.name}/{key}", str(folder), source_filesystem=self.files)

    def put(self, key, content):
        with self.files.open_output_stream(f"{self.name}/{key}") as stream:
            stream.write(content)

    def get(self, key):
        return self.files.open_input_file(f"{self.name}/{key}").read()

    def keys(self, key=""):
        below = pyarrow.fs.FileSelector(f"{self.name}/{key}", recursive=True, allow_not_found=True)
        return sorted(
            info.path.removeprefix(f"{self.name}/")
            for info in self.files.get_file_info(below)
            if info.is_file
        )

    def environment(self, **more):
        return os.environ | self.server.environment(self.endpoint) | more

    def start(self, *arguments, **environment):
        return subprocess.Popen(
            [self.pomona, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment(**environment),
        )

    def run(self, *arguments, **environment):
        process = self.start(*arguments, **environment)
        try:
            output, errors = process.communicate(timeout=240)
        except subprocess.TimeoutExpired:
            process.kill()
            output, errors = process.communicate()
            pytest.fail(f"{arguments} does not end:\n{output[-2000:]}{errors[-2000:]}")
        # What no output may ever hold.
        assert self.server.secret_key not in output + errors
        return subprocess.CompletedProcess(arguments, process.returncode, output, errors)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The S3 server that POMONA_S3_SERVER names: minio or versitygw."""
    start = getattr(servers, os.environ.get("POMONA_S3_SERVER", "minio"))
    with start(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="session")
def new_bucket(pomona, server):
    counter = iter(range(1_000_000))
    return lambda: Bucket(pomona, server, f"bucket-{next(counter):06}")


@pytest.fixture
def bucket(new_bucket):
    return new_bucket()


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Where runs and audits are made before they are uploaded."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture(scope="session")
def sample_bucket(new_bucket, sample_tree):
    """The sample tree below `in`; tests write beside it."""
    bucket = new_bucket()
    bucket.upload(sample_tree, "in")
    return bucket
