"""`pomona report` of runs whose output, or whose images, are on S3."""

import time

import numpy as np
import pytest
from PIL import Image
from report_page import Page

pytestmark = pytest.mark.usefixtures("cache")

OPTIONS = ["--quiet", "--pca-components", "4"]


def run(bucket, source, output, run_id):
    done = bucket.run("run", source, bucket.url(output), "--run-id", run_id, *OPTIONS)
    assert done.returncode == 0, done.stderr
    return bucket.get(f"{output}/report/report_{run_id}/report.html")


def report(bucket, output, file, *options):
    done = bucket.run("report", bucket.url(output), "--output", file, *options)
    assert (done.returncode, done.stdout) == (0, f"written to {file}\n"), done.stderr
    return file.read_bytes()


def assert_pictures(page, place_of):
    """The pictures of the page are those of the images, at `place_of(path)`."""
    pictures = page.pictures()
    assert list(pictures) == list(range(len(page.paths())))
    for point, path in enumerate(page.paths()):
        with Image.open(place_of(path)) as image:
            expected = np.asarray(image.convert("RGB").resize((64, 64)), dtype=float)
        shown = np.asarray(pictures[point].convert("RGB"), dtype=float)
        assert np.abs(shown - expected).mean() < 8, path


def test_images_here_and_the_output_there(bucket, sample_tree, tmp_path):
    """The page of either run is the one that it published itself, its pictures too."""
    older = run(bucket, sample_tree / "Training", "out", "older")
    time.sleep(1)  # some stores know whole seconds only, and the next run reuses all it needs
    newer = run(bucket, sample_tree, "out", "newer")
    before = {key: bucket.get(key) for key in bucket.keys("out")}
    assert report(bucket, "out", tmp_path / "newer.html") == newer
    assert report(bucket, "out", tmp_path / "older.html", "--run-id", "older") == older
    assert {key: bucket.get(key) for key in bucket.keys("out")} == before
    assert_pictures(Page(tmp_path / "older.html"), lambda path: path)


def test_images_there(sample_bucket, sample_tree, tmp_path):
    """The run reads an object once, so that its page is without pictures, and says where they are;
    the command's has them, and else the same."""
    bucket = sample_bucket
    own = tmp_path / "own.html"
    own.write_bytes(run(bucket, bucket.url("in"), "of-report", "r"))
    report(bucket, "of-report", tmp_path / "page.html")
    page = Page(tmp_path / "page.html")
    assert_pictures(page, lambda path: path.replace(bucket.url("in"), str(sample_tree)))
    without = Page(own)
    assert without.pictures() == {}
    assert without.arrays == page.arrays
    assert "`pomona report` makes" in without.block("scatter", "note")["text"]
    assert "Pictures: of 120 images" in page.block("scatter", "note")["text"]


def test_pictures_that_are_gone(bucket, sample_tree, tmp_path):
    """They are left out, and fail nothing; so is what was replaced by no image."""
    bucket.upload(sample_tree, "in")
    run(bucket, bucket.url("in"), "out", "r")
    gone, replaced = bucket.keys("in")[:2]
    bucket.files.delete_file(f"{bucket.name}/{gone}")
    bucket.put(replaced, b"no image")
    report(bucket, "out", tmp_path / "page.html")
    page = Page(tmp_path / "page.html")
    pictured = {page.paths()[point] for point in page.pictures()}
    assert set(page.paths()) - pictured == {bucket.url(gone), bucket.url(replaced)}
