"""bootstrap.sh for real: in a Debian root made for it, as a user who may sudo.

Real: bash, sudo, venv, pip, the AWS CLI, S3's protocol (moto), pyarrow's wheel, the package index.
Stand-ins: Debian for Amazon Linux, and its apt-get behind the name of dnf. Pomona's wheel is a
small one made here unless the folder POMONA_WHEEL holds a real one.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig

import pytest
from account import DEPLOY

pytestmark = pytest.mark.long

# Installs under Debian's names what bootstrap.sh asks for under Amazon Linux's.
DNF = """\
#!/bin/sh
[ "$*" = "install -y -q python3.11 python3.11-pip" ] || { echo "dnf: $*" >&2; exit 1; }
export DEBIAN_FRONTEND=noninteractive
exec apt-get install -y -qq --no-install-recommends python3.11 python3.11-venv
"""
AWS = '#!/bin/sh\nPYTHONPATH=/opt/aws exec /usr/bin/python3 -m awscli "$@"\n'


def mirror():
    """Where this machine gets Debian from."""
    listing = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)"]
        + ["Created-By: Packages", "Codename: bookworm", "Component: main"],
        capture_output=True,
        text=True,
        check=True,
    )
    return listing.stdout.split()[0]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A Debian 12 with sudo, the AWS CLI, what passes for dnf, and a user hadoop."""
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        pytest.skip("needs root and debootstrap")
    if sys.version_info[:2] != (3, 11):
        pytest.skip("the AWS CLI of this Python would not run on Debian 12's")
    pytest.importorskip("awscli")
    root = tmp_path_factory.mktemp("root")
    subprocess.run(
        ["debootstrap", "--variant=minbase", "--include=sudo,ca-certificates,python3"]
        + ["bookworm", root, mirror()],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    root.chmod(0o755)
    for name in ["etc/resolv.conf", "etc/hosts", "etc/ssl/certs/ca-certificates.crt"]:
        shutil.copy(f"/{name}", root / name)
    (root / "etc/sudoers.d/hadoop").write_text("hadoop ALL=(ALL) NOPASSWD: ALL\n")
    for name, text in {"dnf": DNF, "aws": AWS}.items():
        (root / "usr/local/bin" / name).write_text(text)
        (root / "usr/local/bin" / name).chmod(0o755)
    (root / "opt/aws").mkdir()
    shutil.copy(DEPLOY / "bootstrap.sh", root / "opt")
    subprocess.run(["chroot", root, "useradd", "-m", "hadoop"], check=True)
    yield root
    shutil.rmtree(root)


@pytest.fixture(scope="module")
def wheelhouse(tmp_path_factory):
    """The wheels of what goes beside Pomona."""
    folder = tmp_path_factory.mktemp("wheels")
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary", ":all:"]
        + ["--require-hashes", "-r", DEPLOY / "requirements.txt", "--dest", folder],
        check=True,
    )
    return list(folder.glob("*.whl"))


@pytest.fixture
def node(root, aws, wheel):
    """node(command, **environment) runs a command as hadoop on a node without Pomona."""
    shutil.rmtree(root / "opt/pomona", ignore_errors=True)
    wheel = next(pathlib.Path(os.environ.get("POMONA_WHEEL", "/nowhere")).glob("*.whl"), wheel)
    aws.put("artifacts", f"one/wheels/{wheel.name}", wheel.read_bytes())
    site = sysconfig.get_path("platlib")

    def node(command, user="hadoop", **environment):
        names = {"AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
        environment = {
            **{name: aws.environment[name] for name in names},
            "AWS_DEFAULT_REGION": "eu-west-1",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "RETRY_SECONDS": "1",
            **environment,
        }
        exports = " ".join(f"{name}={value}" for name, value in environment.items())
        inner = (
            f"mount --bind -o ro {site} {root}/opt/aws && mount -t proc proc {root}/proc &&"
            f" exec chroot {root} /usr/bin/sudo -u {user} -H env {exports} {command}"
        )
        return subprocess.run(
            ["unshare", "--mount", "--pid", "--fork", "sh", "-c", inner],
            capture_output=True,
            text=True,
            check=False,
        )

    return node


@pytest.fixture(autouse=True)
def artifacts(aws):
    aws.make_bucket("artifacts")
    aws.put("artifacts", "one/spark_job.py")
    aws.put("artifacts", "one/requirements.txt", (DEPLOY / "requirements.txt").read_bytes())


BOOTSTRAP = "/opt/bootstrap.sh s3://artifacts/one"
NO_INDEX = {"PIP_INDEX_URL": "http://127.0.0.1:9"}


def assert_installed(node, done):
    assert done.returncode == 0, done.stderr
    assert "pomona 0.1.0" in done.stdout
    # As what YARN runs containers as: another user.
    look = node(
        "/opt/pomona/venv/bin/python -c 'import numpy, pandas, pomona, pyarrow'", user="nobody"
    )
    assert look.returncode == 0, look.stderr
    look = node("cat /opt/pomona/artifacts/spark_job.py", user="nobody")
    assert look.returncode == 0


def test_from_a_wheelhouse_without_an_index_and_again(node, aws, wheelhouse):
    before = node("python3.11 -m venv /tmp/venv")
    assert before.returncode != 0, "the package step would be for nothing"
    for wheel in wheelhouse:
        aws.put("artifacts", f"one/wheels/{wheel.name}", wheel.read_bytes())
    assert_installed(node, node(BOOTSTRAP, **NO_INDEX))
    assert_installed(node, node(BOOTSTRAP, **NO_INDEX))


def test_dependencies_from_the_index(node):
    assert_installed(node, node(BOOTSTRAP))


def test_from_a_folder_as_root(node, root, aws):
    """As in an image (Dockerfile); without sudo, which a container has not."""
    [key] = [key for key in aws.keys("artifacts") if key.endswith(".whl")]
    folder = root / "opt/image"
    (folder / "wheels").mkdir(parents=True)
    aws.s3.download_file("artifacts", key, str(folder / "wheels" / pathlib.Path(key).name))
    shutil.copy(DEPLOY / "requirements.txt", folder)
    forbidden = root / "usr/local/bin/sudo"
    forbidden.write_text("#!/bin/sh\nexit 1\n")
    forbidden.chmod(0o755)
    try:
        done = node("/opt/bootstrap.sh /opt/image", user="root")
    finally:
        forbidden.unlink()
        shutil.rmtree(folder)
    assert done.returncode == 0, done.stderr
    assert "pomona 0.1.0" in done.stdout


def test_failures_say_what_was_missing(node):
    done = node("/opt/bootstrap.sh s3://artifacts/two", **NO_INDEX)
    assert done.returncode != 0
    done = node("/opt/bootstrap.sh s3://nowhere/one")
    assert done.returncode != 0
    assert "attempt 3 failed: aws s3 cp" in done.stderr
    assert "NoSuchBucket" in done.stderr
    done = node(BOOTSTRAP, **NO_INDEX)
    assert done.returncode != 0
    assert "No matching distribution found for numpy==" in done.stderr
