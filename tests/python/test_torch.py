"""Weights of torchvision and timm (torch_models.py): the features that these libraries compute."""

import hashlib
import json
import os
import pathlib
import subprocess

import numpy as np
import pytest
from PIL import Image
from pomona import Extractor

MODELS = pathlib.Path(__file__).with_name("torch_models.py")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Made up, of all shapes, and real ones where they are."""
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(5)
    sizes = [(224, 224), (256, 256), (232, 300), (100, 100), (640, 480), (301, 409), (37, 500)]
    sizes += [(1200, 90), (257, 255), (1, 1), (229, 231), (1023, 767)]
    paths = []
    for width, height in sizes:
        small = random.integers(0, 256, (height // 7 + 1, width // 7 + 1, 3), dtype=np.uint8)
        path = folder / f"{width}x{height}.png"
        Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC).save(path)
        paths.append(path)
    data = pathlib.Path(os.environ.get("POMONA_TEST_DATA") or "/nowhere")
    for pattern in "fruits/Training/Apple Braeburn/*.jpg", "bad-images/jpeg_progressive/*.jp*g":
        for path in sorted(data.glob(pattern))[:6]:
            with Image.open(path) as image:
                image.load()
            paths.append(path)
    return paths


@pytest.fixture(scope="module")
def models(tmp_path_factory, pictures):
    python = os.environ.get("POMONA_TIMM_PYTHON") or ""
    if not python:
        pytest.skip("POMONA_TIMM_PYTHON names no Python with PyTorch and requirements/timm.txt")
    folder = tmp_path_factory.mktemp("models")
    subprocess.run([python, MODELS, folder, *pictures], check=True)
    made = json.loads((folder / "features.json").read_text())
    print(made["versions"])
    return folder, {name: np.float64(rows) for name, rows in made["features"].items()}


def imported(pomona, file, *options):
    output = file.with_suffix(f".{len(options)}.imported")
    command = [pomona, "weights", "import", file, "--output", output, *options]
    return output, subprocess.run(command, capture_output=True, text=True, check=False)


def compare(weights, pictures, expected):
    extractor = Extractor(weights)
    table = extractor.extract([os.fspath(path) for path in pictures])
    assert table["verdict"].to_pylist() == ["ok"] * len(pictures)
    features = np.float64(table["features"].to_pylist())
    assert features.shape == expected.shape
    assert np.abs(expected).max() > 1  # the network is alive, and pictures differ
    assert np.abs(expected - expected[0]).max() > 0.1
    worst = np.abs(features - expected).max()
    print(f"{extractor.preprocessing}: {worst:.2e}")
    assert worst <= 3e-5


@pytest.mark.long
@pytest.mark.parametrize(
    ("file", "options", "name"),
    [
        ("mobilenet_v2-7ebf99e0.pth", (), "torchvision-v2"),
        ("old.pth", ("--preprocessing", "torchvision-v1"), "torchvision-v1"),
        ("torchvision.safetensors", ("--preprocessing", "torchvision-v1"), "torchvision-v1"),
        ("checkpoint.tar", ("--preprocessing", "torchvision-v2"), "torchvision-v2"),
        ("last.pt", ("--preprocessing", "torchvision-v1"), "torchvision-v1"),
        ("mobilenetv2_100.safetensors", (), "mobilenetv2_100"),
        ("mobilenetv2_050.safetensors", (), "mobilenetv2_050"),
        ("mobilenetv2_050.bin", (), "mobilenetv2_050"),
        ("mobilenetv2_140.safetensors", (), "mobilenetv2_140"),
    ],
)
def test_features_are_the_librarys(pomona, models, pictures, file, options, name):
    folder, expected = models
    weights, run = imported(pomona, folder / file, *options)
    assert run.returncode == 0, run.stderr
    preprocessing = "timm" if name.startswith("mobilenetv2") else name
    assert f"pictures  {preprocessing} (" in run.stdout
    compare(weights, pictures, expected[name])


@pytest.mark.long
def test_what_is_not_read_says_so(pomona, models):
    folder, _ = models
    for file, message in {
        "torchvision.safetensors": "give --preprocessing torchvision-v1",
        "whole.pth": "it asks for 'torchvision.models.mobilenetv2.MobileNetV2'",
        "mobilenetv2_110d.safetensors": "110d and 120d",
    }.items():
        _, run = imported(pomona, folder / file)
        assert run.returncode == 1
        assert message in run.stderr


@pytest.mark.long
def test_kinds_of_features_are_never_mixed(pomona, models, pictures, tmp_path):
    """The same tensors for other pictures: a run of their own, which says so."""
    folder, _ = models
    tree = tmp_path / "tree" / "label"
    tree.mkdir(parents=True)
    for picture in pictures[:6]:
        (tree / picture.name).write_bytes(picture.read_bytes())
    recorded, digests = {}, set()
    for version in "v1", "v2", "v1":
        weights, run = imported(
            pomona,
            folder / "torchvision.safetensors",
            "--preprocessing",
            f"torchvision-{version}",
        )
        assert run.returncode == 0, run.stderr
        weights = weights.rename(tmp_path / f"{version}.safetensors")
        run_id = f"{version}-{len(recorded)}"
        command = [pomona, "run", tree.parent, tmp_path / "out", "--weights", weights]
        command += ["--run-id", run_id, "--pca-components", "2", "--quiet"]
        subprocess.run(command, check=True)
        info = json.loads(
            next((tmp_path / f"out/model_info/model_info_{run_id}").glob("*.json")).read_text()
        )
        run_info = json.loads(
            next((tmp_path / f"out/run_info/run_info_{run_id}").glob("*.json")).read_text()
        )
        reused = run_info["reused"]
        recorded[run_id] = (info["preprocessing"], reused["rows"] if reused else 0)
        digests.add(info["weights"]["digest"])
    assert list(recorded.values())[:2] == [
        ("rgb-bilinear256-crop224-pillow/imagenet-mean-std", 0),
        ("rgb-bilinear232-crop224-pillow/imagenet-mean-std", 0),
    ]
    values = b"".join(_tensors(weights))
    assert digests == {hashlib.sha256(values + b"pytorch").hexdigest()}


def _tensors(weights):
    """The bytes of the tensors of a safetensors file, in its order."""
    data = weights.read_bytes()
    header_bytes = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + header_bytes])
    assert header.pop("__metadata__")["preprocessing"] == "torchvision-v1"
    yield data[8 + header_bytes :]
