"""The job, a tree for it, and what the program makes of that."""

import pathlib
import shutil
import subprocess
import sys

import pytest
from runs import COMPONENTS

IMAGES = 96


@pytest.fixture(scope="session")
def job():
    program = pathlib.Path(sys.executable).with_name("pomona")
    done = subprocess.run([program, "spark-job"], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture(scope="session")
def tree(pomona, tmp_path_factory):
    """A tree with what trees have: good images, bad ones, files that are none, odd names."""
    root = tmp_path_factory.mktemp("in put")
    subprocess.run([pomona, "sample", root, "--images", str(IMAGES)], check=True)
    images = sorted((root / "Training").rglob("*.jpg"))
    odd = root / "Training" / 'A, "b" [1] 50%+é'
    odd.mkdir()
    for image in images[:6]:
        shutil.copy(image, odd / f" {image.name}")
    (odd / "cut, off.jpg").write_bytes(images[0].read_bytes()[:700])
    (odd / "empty%20.jpg").write_bytes(b"")
    (odd / "no image.png").write_bytes(b"no image")
    (odd / "notes.txt").write_text("no image either")
    (odd / "empty").write_bytes(b"")
    shutil.copy(images[0], root / "Training" / "at the root.jpg")
    for leftover in ("@eaDir", "lost+found", ".thumbnails"):
        (root / "Training" / leftover).mkdir()
        shutil.copy(images[0], root / "Training" / leftover)
    return root


@pytest.fixture(scope="session")
def expected(run, tree):
    return run(tree, "--pca-components", str(COMPONENTS))


@pytest.fixture
def sample(pomona, tmp_path):
    """sample(images) makes a small tree that the test may change."""

    def sample(images=12):
        folder = tmp_path / "tree"
        subprocess.run(
            [pomona, "sample", folder, "--images", str(images)], check=True, capture_output=True
        )
        return folder

    return sample
