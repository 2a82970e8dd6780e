"""Image statistics and issues: CleanVision's, by its definitions and by the package itself."""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageFilter, ImageStat
from runs import RUN_ID

PERCENTILES = (1, 5, 10, 15, 90, 95, 99)
STATISTICS = [
    "brightness",
    *(f"brightness_perc_{percentile}" for percentile in PERCENTILES),
    "entropy",
    "blurriness",
    "blurriness_grayscale_std",
]
PIXEL_ISSUES = ("dark", "light", "low_information", "blurry")
SHAPE_ISSUES = ("odd_aspect_ratio", "grayscale", "odd_size")


def metadata(output):
    return pq.read_table(output / f"metadata/parquet/metadata_{RUN_ID}")


def image_issues(output):
    return pq.read_table(output / f"audit/image_issues/parquet/image_issues_{RUN_ID}")


def by_definition(image):
    """The statistics by their definitions, with Pillow and numpy."""
    rgb = np.asarray(image.convert("RGB"), np.float64)
    weights = np.array([0.241, 0.691, 0.068])
    perceived = np.sqrt(rgb**2 @ weights) / 255
    statistics = {"brightness": np.sqrt(rgb.mean(axis=(0, 1)) ** 2 @ weights) / 255}
    values = np.percentile(perceived, PERCENTILES)
    statistics |= {f"brightness_perc_{p}": v for p, v in zip(PERCENTILES, values, strict=True)}
    gray = image.mode in ("1", "L", "LA", "F") or image.mode.startswith("I")
    statistics["entropy"] = image.convert("L" if gray else "RGB").entropy()
    longer = max(image.size)
    small = image.convert("RGB")
    if longer > 64:
        small = small.resize(tuple(max(side * 64 // longer, 1) for side in image.size))
    small = small.convert("L")
    edges = small.filter(ImageFilter.FIND_EDGES)
    statistics["blurriness"] = ImageStat.Stat(edges).var[0] ** 0.5
    statistics["blurriness_grayscale_std"] = np.std(small.histogram())
    return statistics


def planted_tree(tree, data):
    """Every 40th frame of the fruits, and of one of them what each issue is about."""
    sources = sorted((data / "fruits/Training").rglob("*.jpg"))[::40]
    for number, source in enumerate(sources):
        folder = tree / source.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, folder / f"{number}.jpg")
    fruit = Image.open(sources[5])
    odd = tree / "odd"
    odd.mkdir()
    fruit.point(lambda value: value // 8).save(odd / "dark.png")
    fruit.point(lambda value: 250 + value // 52).save(odd / "light.png")
    y, x = np.mgrid[0:100, 0:100]
    smooth = ((0.8 * x + 0.2 * y) / 99 * 127).astype(np.uint8)
    Image.fromarray(smooth).convert("RGB").save(odd / "smooth.png")
    fruit.convert("L").save(odd / "gray.png")
    fruit.convert("L").resize((500, 375)).save(odd / "gray.jpg")
    fruit.resize((300, 40)).save(odd / "wide.png")
    fruit.resize((3, 90)).save(odd / "narrow.png")
    fruit.resize((900, 900)).save(odd / "large.webp")
    fruit.resize((50, 30)).save(odd / "small.tiff")
    Image.new("RGB", (100, 100), (90, 160, 30)).save(odd / "flat.png")
    shutil.copyfile(sources[5], odd / "copied.jpg")
    fruit.save(odd / "stored.png")
    return tree


def in_other_modes(tree, data):
    """Modes in which CleanVision does not look at the picture, but at what stores it."""
    fruit = Image.open(sorted((data / "fruits/Training").rglob("*.jpg"))[5])
    tree.mkdir(parents=True)
    fruit.convert("P").save(tree / "palette.png")
    fruit.convert("P").save(tree / "palette.gif")
    fruit.convert("RGBA").save(tree / "alpha.png")
    fruit.convert("LA").save(tree / "gray_alpha.png")
    fruit.convert("1").save(tree / "bits.png")
    fruit.convert("CMYK").save(tree / "cmyk.jpg")
    fruit.convert("CMYK").save(tree / "cmyk.tif")
    fruit.convert("I;16").save(tree / "deep.png")
    fruit.save(tree / "bmp.bmp")
    fruit.save(tree / "tga.tga")
    fruit.save(tree / "ppm.ppm")
    fruit.save(tree / "progressive.jpg", progressive=True)
    fruit.convert("L").save(tree / "pgm.pgm")


@pytest.fixture(scope="module")
def planted(data, run, pomona, tmp_path_factory):
    tree = planted_tree(tmp_path_factory.mktemp("issues") / "tree", data)
    output = run(tree, "--stats", "full", "--report", "none")
    subprocess.run([pomona, "audit", output], check=True, capture_output=True)
    return tree, output


def check_statistics(output, cases):
    rows = metadata(output).to_pylist()
    assert len(rows) == cases
    for row in rows:
        image = Image.open(row["path"])
        image.load()
        expected = by_definition(image)
        for name in STATISTICS:
            assert row[name] == pytest.approx(expected[name], abs=1e-9), (row["path"], name)
        pixels = image.convert("RGB").tobytes()
        assert row["pixels_sha256"] == hashlib.sha256(pixels).hexdigest(), row["path"]


def test_statistics_are_those_of_the_definitions(planted):
    tree, output = planted
    check_statistics(output, sum(1 for path in tree.rglob("*") if path.is_file()))


def test_statistics_of_every_mode_are_of_its_pixels(run, data, tmp_path):
    in_other_modes(tmp_path / "tree/modes", data)
    options = ("--stats", "full", "--report", "none", "--pca-components", "3")
    check_statistics(run(tmp_path / "tree", *options), 13)


def test_columns_come_behind_those_of_every_run(run, sample_tree):
    columns = {}
    for stats in ("none", "basic", "full"):
        options = ("--stats", stats, "--report", "none", "--pca-components", "5", "--limit", "20")
        output = run(sample_tree, *options)
        columns[stats] = metadata(output).column_names
        info = json.loads((output / f"run_info/run_info_{RUN_ID}/part-00000.json").read_text())
        assert info["options"]["stats"] == stats
    assert columns["none"][-1] == "content_sha256"
    assert columns["basic"] == columns["none"] + STATISTICS[:-2]
    assert columns["full"] == columns["none"] + STATISTICS + ["pixels_sha256"]


def test_planted_issues_are_found(planted):
    _, output = planted
    table = image_issues(output)
    assert len(table) == len(metadata(output))
    issues = {row["path"].rsplit("/", 1)[1]: row for row in table.to_pylist()}

    def found(name):
        return {path for path, row in issues.items() if row[f"is_{name}_issue"]}

    assert "dark.png" in found("dark")
    assert "light.png" in found("light")
    assert found("blurry") == {"smooth.png"}
    assert found("low_information") == {"flat.png"}
    assert found("grayscale") == {"gray.png", "gray.jpg"}
    assert found("odd_aspect_ratio") == {"wide.png", "narrow.png"}
    assert {"large.webp", "small.tiff", "wide.png", "narrow.png"} <= found("odd_size")
    assert found("exact_duplicates") == {"5.jpg", "copied.jpg", "stored.png"}
    assert issues["5.jpg"]["exact_duplicates_score"] == pytest.approx(1 / 3)
    kinds = pq.read_table(output / f"audit/duplicates/parquet/duplicates_{RUN_ID}").to_pylist()
    kinds = {row["path"].rsplit("/", 1)[1]: row["kind"] for row in kinds}
    assert kinds["stored.png"] == "same_pixels"
    assert kinds["copied.jpg"] == kinds["5.jpg"] == "same_bytes"


def test_without_statistics_the_audit_tells_what_it_can(run, pomona, sample_tree):
    output = run(sample_tree, "--report", "none", "--pca-components", "5")
    done = subprocess.run([pomona, "audit", output], check=True, capture_output=True, text=True)
    assert "a run with --stats full, and an audit of that, tell the rest" in done.stdout
    table = image_issues(output)
    for name in (*PIXEL_ISSUES, *SHAPE_ISSUES, "exact_duplicates", "near_duplicates"):
        expected = len(table) if name in PIXEL_ISSUES else 0
        assert table[f"{name}_score"].null_count == expected
        assert table[f"is_{name}_issue"].null_count == expected


@pytest.mark.long
def test_scores_are_cleanvisions(planted, tmp_path):
    python = os.environ.get("POMONA_CLEANVISION_PYTHON", "")
    if not os.path.isfile(python):
        pytest.skip("POMONA_CLEANVISION_PYTHON names no Python with requirements/cleanvision.txt")
    tree, output = planted
    script = pathlib.Path(__file__).with_name("cleanvision_issues.py")
    found = tmp_path / "found.json"
    subprocess.run([python, script, tree, found], check=True)
    theirs = json.loads(found.read_text())
    rows = {row["path"]: row for row in metadata(output).to_pylist()}
    issues = {row["path"]: row for row in image_issues(output).to_pylist()}
    assert issues.keys() == theirs.keys()
    for path, expected in theirs.items():
        for name in STATISTICS:
            assert rows[path][name] == pytest.approx(expected[name], abs=1e-6), (path, name)
        for name in (*PIXEL_ISSUES, *SHAPE_ISSUES, "exact_duplicates"):
            for column in (f"{name}_score", f"is_{name}_issue"):
                assert issues[path][column] == pytest.approx(expected[column], abs=1e-6), (
                    path,
                    column,
                )
