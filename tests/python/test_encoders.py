"""Images by outside encoders (encoders.py): Pillow's pixels, or a refusal naming the format."""

import collections
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from pixels import pillow

ENCODERS = pathlib.Path(__file__).with_name("encoders.py")


def sweep(pomona, python, folder, count):
    folder.mkdir()
    subprocess.run([python, ENCODERS, folder, str(count)], check=True, stderr=subprocess.DEVNULL)
    check = subprocess.run([pomona, "check", "--json", folder], capture_output=True, check=True)
    verdicts = collections.Counter()
    wrong = []
    for line in map(json.loads, check.stdout.splitlines()):
        verdicts[line["verdict"]] += 1
        if line["verdict"] == "ok":
            expected = pillow(pathlib.Path(line["path"]))
            if {key: line[key] for key in expected} != expected:
                wrong.append((expected, line))
        elif line["verdict"] == "skip" or line["reason"] != "unsupported_format":
            wrong.append(("all files are whole images", line))
    assert not wrong, f"{len(wrong)} of {verdicts.total()}, first: {wrong[:3]}"
    assert verdicts.total() >= count
    return verdicts


def test_pillows_own(pomona, tmp_path):
    verdicts = sweep(pomona, sys.executable, tmp_path / "pictures", 300)
    assert verdicts["ok"] > 200


@pytest.fixture
def encoders_python():
    """A Python with requirements/encoders.txt."""
    python = os.environ.get("POMONA_ENCODERS_PYTHON")
    if not python:
        pytest.skip("POMONA_ENCODERS_PYTHON names no Python with requirements/encoders.txt")
    return python


@pytest.mark.long
def test_all_encoders(pomona, tmp_path, encoders_python):
    verdicts = sweep(pomona, encoders_python, tmp_path / "pictures", 6000)
    assert verdicts["ok"] > 3800
    assert (
        len([p for p in (tmp_path / "pictures").iterdir() if p.name != "frames"]) == 6
    )  # encoders


RESIZE = """
import hashlib, pathlib, sys
from PIL import Image, __version__
print(__version__)
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    print(path.name, hashlib.sha256(Image.open(path).resize((224, 224)).tobytes()).hexdigest())
"""


@pytest.mark.long
def test_pillow_13_resizes_some_tall_pictures_otherwise(pomona, tmp_path, encoders_python):
    """docs/formats.md says which; all are as those of the Pillow of this environment."""
    generator = np.random.default_rng(20)
    sizes = [(308, 410), (240, 320), (300, 400), (480, 640), (640, 480), (600, 800), (300, 300)]
    for width, height in sizes:
        pixels = generator.integers(0, 256, (height, width, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{width}x{height}.png")
    resized = {}
    for python in (sys.executable, encoders_python):
        printed = subprocess.run([python, "-c", RESIZE, tmp_path], capture_output=True, text=True,
                                 check=True).stdout.splitlines()  # fmt: skip
        resized[printed[0]] = dict(line.split() for line in printed[1:])
    check = subprocess.run([pomona, "check", "--json", tmp_path], capture_output=True, check=True)
    lines = map(json.loads, check.stdout.splitlines())
    ours = {pathlib.Path(line["path"]).name: line["rgb224_sha256"] for line in lines}
    assert ours == resized["10.4.0"]
    different = {name for name in ours if ours[name] != resized["13.0.0"][name]}
    assert different == {"308x410.png", "240x320.png", "300x400.png"}
