"""The program and the package for arm64, with the kernels for NEON, give the bytes of x86-64's.

`make test-long` cross-compiles them; qemu runs them.
"""

import json
import os
import pathlib
import subprocess
import sys
import zipfile

import pytest
from arm64 import FOLDER, emulated, emulated_python
from runs import RUN_ID

pytestmark = pytest.mark.long

PACKAGES = FOLDER / "site-packages"


@pytest.fixture(scope="module", params=["pomona", "site-packages/pomona/pomona"])
def arm64(request):
    """The program as it was built, and out of the wheel."""
    return emulated(FOLDER / request.param)


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
    assert len(neon) >= 12
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


# What the package makes of the pictures of a tree: its place, its machine, and the bytes as files.
PACKAGE = """
import json, os, pathlib, sys
import numpy, pomona

tree, output = map(pathlib.Path, sys.argv[1:])
images = sorted(tree.rglob("*.jpg"))
table = pomona.Extractor(threads=2).extract([*images, numpy.full((60, 90, 3), 200, numpy.uint8)])
(output / "verdicts").write_text(json.dumps(table.drop(["features"]).to_pylist()))
features = numpy.stack(table["features"].drop_null().to_numpy())
features.tofile(output / "features")
pca = pomona.PCA(5, center=True).fit(pomona.Moments(features.shape[1]).add(features))
pca.save(output / "pca")
pca.transform(features).tofile(output / "projections")
(output / "onnx").write_bytes(pca.to_onnx())
print(os.uname().machine, pomona.__version__, pomona.__file__)
"""


def test_the_package_gives_the_same_bytes(tree, tmp_path):
    pytest.importorskip("pomona", reason="the package is not installed")

    def made(python, name, **variables):
        output = tmp_path / name
        output.mkdir()
        environment = {**os.environ, **variables}
        environment.pop("POMONA_WEIGHTS", None)  # it finds its own
        finished = subprocess.run(
            [*python, "-c", PACKAGE, tree, output],
            env=environment, cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert finished.returncode == 0, finished.stderr
        contents = {path.name: path.read_bytes() for path in output.iterdir()}
        return finished.stdout.split(), contents

    python = emulated_python()
    emulated(PACKAGES / "pomona")
    (machine, version, place), neon = made(python, "neon", PYTHONPATH=str(PACKAGES))
    assert (machine, place) == ("aarch64", f"{PACKAGES}/pomona/__init__.py")
    (machine, native_version, _), native = made([sys.executable], "native")
    assert (machine, native_version) == (os.uname().machine, version)
    assert len(native) == 5 and len(native["features"]) == 25 * 1280 * 4
    assert [name for name in native if native[name] != neon[name]] == []


def test_all_else_in_the_wheels_is_the_same():
    """The weights, the stub and the Python."""

    def texts(folder):
        wheels = list(pathlib.Path(folder).glob("pomona-*.whl"))
        if not wheels:
            pytest.skip(f"no wheel in {folder}")
        with zipfile.ZipFile(wheels[0]) as archive:
            contents = {
                name: archive.read(name) for name in archive.namelist() if ".dist-info/" not in name
            }
        return {name: read for name, read in contents.items() if read[:4] != b"\x7fELF"}

    native = texts(os.environ.get("POMONA_WHEEL", "/nowhere"))
    assert "pomona/_core.pyi" in native and "pomona/mobilenet_v2_imagenet.safetensors" in native
    assert texts(FOLDER / "wheel") == native
