"""The program for arm64, with the kernels for NEON, writes the bytes of the one for x86-64.

`make test-long` cross-compiles it; qemu runs it.
"""

import json
import os
import shlex
import subprocess

import pytest
from runs import RUN_ID

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def arm64():
    """The command that runs the program for arm64."""
    command = os.environ.get("POMONA_ARM64_RUN")
    if not command:
        pytest.skip("POMONA_ARM64_RUN does not tell how to run the program for arm64")
    return shlex.split(command)


@pytest.fixture(scope="module")
def tree(pomona, tmp_path_factory):
    """24 synthetic images and one that is cut off."""
    tree = tmp_path_factory.mktemp("tree")
    subprocess.run([pomona, "sample", tree, "--images", "24"], check=True, capture_output=True)
    kiwis = tree / "Training/Kiwi"
    (kiwis / "cut.jpg").write_bytes((kiwis / "0_100.jpg").read_bytes()[:600])
    return tree


def files(output):
    """What must not differ: all but the report of the run and the libraries' versions."""
    contents = {}
    for path in output.rglob("part-*"):
        name = str(path.relative_to(output))
        if name.startswith("model_info/model_info"):
            contents[name] = json.loads(path.read_text())
            del contents[name]["versions"]
        elif not name.startswith("run_info"):
            contents[name] = path.read_bytes()
    return contents


@pytest.mark.parametrize(
    "options",
    [[], ["--include", "*Apple*", "--center", "--standardize", "--vectors", "spark"]],
    ids=["all", "apples"],
)
def test_all_outputs_are_the_same_bytes(arm64, pomona, tree, tmp_path, options):
    def outputs(command, name, *more):
        output = tmp_path / name
        job = [*command, "run", tree, output, "--run-id", RUN_ID, "--quiet"]
        job += ["--pca-components", "5", *options, *more]
        finished = subprocess.run(job, capture_output=True, text=True, check=False)
        if "lacks" in finished.stderr:
            return None
        assert finished.returncode == 0, finished.stderr
        return files(output)

    neon = outputs(arm64, "neon")
    assert len(neon) == 9
    for cpu in ["best", "avx512", "avx2"]:
        other = outputs([pomona], cpu, "--cpu", cpu)
        if other is not None:
            assert other.keys() == neon.keys()
            assert [name for name in neon if neon[name] != other[name]] == [], cpu


def test_sample_images_are_the_same_bytes(arm64, tree, tmp_path):
    subprocess.run([*arm64, "sample", tmp_path, "--images", "24"], check=True, capture_output=True)
    images = sorted(tmp_path.rglob("*.jpg"))
    assert len(images) == 24
    for image in images:
        assert image.read_bytes() == (tree / image.relative_to(tmp_path)).read_bytes()
