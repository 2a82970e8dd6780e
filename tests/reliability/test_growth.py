"""A run over a tree that changed a little takes over the features of what did not change, and
gives the bytes of a full run."""

import os
import shutil

import pytest
from conftest import BEFORE, RUN, files_of


def reused_by(lab, output, run_id=RUN, **options):
    finished = lab.run(output, run_id, **options)
    assert finished.returncode == 0, finished.stderr
    return int(finished.stdout.split()[5]), finished.stderr


def full_run(lab):
    output = lab.folder / "full"
    shutil.rmtree(output, ignore_errors=True)
    assert lab.run(output).returncode == 0
    return files_of(output, RUN)


@pytest.fixture
def tree(lab):
    """The lab's tree, which is as it was afterwards."""
    kept = lab.folder / "kept"
    shutil.copytree(lab.tree, kept)
    yield lab.tree
    shutil.rmtree(lab.tree)
    kept.rename(lab.tree)


def test_added_images(lab):
    output = lab.new_output()
    assert reused_by(lab, output) == (8, "")
    assert files_of(output, RUN) == lab.expected
    # The run published last is the one to take over from.
    assert reused_by(lab, output, "again") == (13, "")


def test_a_small_run_is_passed_over(lab):
    output = lab.new_output()
    assert reused_by(lab, output, "small", limit=3) == (3, "")
    assert reused_by(lab, output) == (8, "")
    assert files_of(output, RUN) == lab.expected


def test_nothing_is_taken_over_where_the_user_says_so(lab):
    output = lab.new_output()
    assert reused_by(lab, output, fresh=1) == (0, "")
    assert files_of(output, RUN) == lab.expected


def test_nothing_is_taken_over_from_other_weights(lab):
    output = lab.new_output()
    assert reused_by(lab, output, digest="another") == (0, "")


def test_changed_images_are_computed_anew(lab, tree):
    output = lab.new_output()
    same_size = tree / "Apple/0.png"
    info = same_size.stat()
    data = bytearray((tree / "Apple/1.png").read_bytes())
    size = len(same_size.read_bytes())
    same_size.write_bytes(data.ljust(size, b"\0")[:size])
    os.utime(same_size, ns=(info.st_atime_ns, info.st_mtime_ns + 1))
    (tree / "Apple/3.png").write_bytes((tree / "Apple/4.png").read_bytes() + b"more")
    os.utime(tree / "Apple/3.png", ns=(info.st_atime_ns, info.st_mtime_ns))
    (tree / "Apple/7.png").unlink()
    assert reused_by(lab, output) == (5, "")
    assert files_of(output, RUN) == full_run(lab)


def test_a_run_of_text_only(lab, tree):
    output = lab.folder / "text"
    assert lab.run(output, BEFORE, formats="csv").returncode == 0
    lab.add_image("Apple/00.png")
    assert reused_by(lab, output) == (13, "")
    assert files_of(output, RUN) == full_run(lab)


@pytest.mark.parametrize("formats", ["parquet", "csv"])
def test_a_damaged_run_is_no_source(lab, formats):
    output = lab.folder / f"damaged-{formats}"
    assert lab.run(output, BEFORE, formats=formats).returncode == 0
    part = output / f"features/{formats}/features_{BEFORE}/part-00000.{formats}"
    data = bytearray(part.read_bytes())
    at = data.index(b"0.") if formats == "csv" else len(data) // 3
    data[at] ^= 1
    part.write_bytes(data)
    reused, log = reused_by(lab, output)
    assert reused == 0
    assert f"features of the run {BEFORE} cannot be taken over and are made again" in log
    assert str(part) in log
    assert files_of(output, RUN) == lab.expected
