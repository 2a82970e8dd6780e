"""`--decode scaled` against Pillow's own reduced decoding, and apart from exact features."""

import json
import subprocess

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pomona import Extractor

# Each with the reduction that Pillow's draft() chooses for twice the size of the network's input.
SIZES = {(1000, 900): 2, (2000, 2300): 4, (3600, 3600): 8, (895, 1200): 1}
SCALED_SIDE = 448


def picture(size, seed):
    width, height = size
    small = np.random.default_rng(seed).integers(0, 256, (height // 9, width // 9, 3), np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos") / "photos"
    folder.mkdir()
    for i, size in enumerate(SIZES):
        picture(size, i).save(folder / f"{i}.jpg", progressive=i == 1)
    picture((1000, 1000), 9).save(folder / "other.png")
    return folder


def run(pomona, tree, output, run_id, decode):
    command = [pomona, "run", tree, output, "--run-id", run_id, "--decode", decode]
    finished = subprocess.run(
        [*command, "--pca-components", "2", "--report", "none"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    table = pq.read_table(output / "features/parquet" / f"features_{run_id}")
    info = json.loads((output / f"model_info/model_info_{run_id}/part-00000.json").read_text())
    return np.array(table["features"].to_pylist(), np.float32), info, finished.stdout


def test_scaled_features_are_those_of_pillows_reduced_pictures(pomona, tree, tmp_path):
    features, info, _ = run(pomona, tree, tmp_path, "scaled", "scaled")
    assert info["preprocessing"] == "rgb-jpegscaled448-bicubic224-pillow/scale-127.5-1"
    pixels = []
    for path in sorted(tree.iterdir()):
        with Image.open(path) as image:
            full = image.size
            image.draft("RGB", (SCALED_SIDE, SCALED_SIDE))
            assert round(full[0] / image.size[0]) == SIZES.get(full, 1)
            pixels.append(np.asarray(image.convert("RGB")))
    expected = Extractor().extract(pixels)["features"].to_pylist()
    assert np.array_equal(features, np.array(expected, np.float32))


def test_neither_is_taken_for_the_other(pomona, tree, tmp_path):
    exact, info, _ = run(pomona, tree, tmp_path, "exact", "exact")
    assert info["preprocessing"] == "rgb-bicubic224-pillow/scale-127.5-1"
    scaled, _, told = run(pomona, tree, tmp_path, "scaled", "scaled")
    assert "reused" not in told
    assert [bool((a != b).any()) for a, b in zip(exact, scaled, strict=True)] == [
        reduction > 1 for reduction in [*SIZES.values(), 1]
    ]
    again, _, told = run(pomona, tree, tmp_path, "again", "exact")
    assert "all features reused from run exact" in told
    assert np.array_equal(again, exact)
