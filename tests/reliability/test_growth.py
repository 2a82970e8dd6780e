"""A run over a tree that changed a little takes over the features of what did not change, and
gives the bytes of a full run."""

import json
import os
import pathlib
import random
import shutil
import subprocess

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import BEFORE, RUN, files_of
from PIL import Image


def reused_by(lab, output, run_id=RUN, **options):
    finished = lab.run(output, run_id, **options)
    assert finished.returncode == 0, finished.stderr
    return int(finished.stdout.split()[5]), finished.stderr


def full_run(lab):
    output = lab.folder / "full"
    shutil.rmtree(output, ignore_errors=True)
    assert lab.run(output).returncode == 0
    return files_of(output, RUN)


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


def test_changed_images_are_computed_anew(changing):
    lab, tree = changing, changing.tree
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


def test_a_run_of_text_only(changing):
    lab = changing
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
    if formats == "csv":
        at = data.index(b"0.")
    else:
        vectors = pq.read_metadata(part).row_group(0).column(2)
        at = vectors.data_page_offset + vectors.total_compressed_size // 2
    data[at] ^= 1
    part.write_bytes(data)
    reused, log = reused_by(lab, output)
    assert reused == 0
    assert f"features of the run {BEFORE} cannot be reused and are recomputed" in log
    assert str(part) in log
    assert files_of(output, RUN) == lab.expected


def doubled(rows):
    return [{**row, "features": [2 * x for x in row["features"]]} for row in rows]


def swapped(rows):
    """The features of the first and the last row."""
    first, *between, last = rows
    return [
        {**first, "features": last["features"]},
        *between,
        {**last, "features": first["features"]},
    ]


@pytest.mark.parametrize("change", [doubled, swapped])
@pytest.mark.parametrize("page_checksums", [True, False])
def test_a_part_that_was_edited_is_no_source(lab, change, page_checksums):
    """By a program that writes sound Parquet files."""
    output = lab.new_output()
    part = output / f"features/parquet/features_{BEFORE}/part-00000.parquet"
    table = pq.read_table(part)
    edited = pa.Table.from_pylist(change(table.to_pylist()), schema=table.schema)
    pq.write_table(edited, part, write_page_checksum=page_checksums)
    reused, log = reused_by(lab, output)
    assert reused == 0
    assert f"{part}: the row of " in log and "its checksum is wrong" in log
    assert files_of(output, RUN) == lab.expected


def test_a_part_written_anew_without_a_change_is_a_source(lab):
    output = lab.new_output()
    part = output / f"features/parquet/features_{BEFORE}/part-00000.parquet"
    pq.write_table(pq.read_table(part), part, compression="snappy")
    assert reused_by(lab, output) == (8, "")
    assert files_of(output, RUN) == lab.expected


def test_a_damaged_record_is_no_source(lab):
    output = lab.new_output()
    record = output / f"run_info/run_info_{BEFORE}/_items-part-00000.safetensors"
    data = bytearray(record.read_bytes())
    data[-1] ^= 1
    record.write_bytes(data)
    reused, log = reused_by(lab, output)
    assert reused == 0
    assert f"{record}: its checksum is wrong" in log
    assert files_of(output, RUN) == lab.expected


def test_a_record_of_an_earlier_version_is_none(lab):
    """It tells sizes and times only."""
    output = lab.new_output()
    record = output / f"run_info/run_info_{BEFORE}/_items-part-00000.safetensors"
    data = record.read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    kept = {name: header[name] for name in ("__metadata__", "size", "modified_ns")}
    text = json.dumps(kept).encode()
    text += b" " * (-len(text) % 8)
    size = header["modified_ns"]["data_offsets"][1]
    record.write_bytes(len(text).to_bytes(8, "little") + text + data[end : end + size])
    assert reused_by(lab, output) == (0, "")
    assert files_of(output, RUN) == lab.expected


@pytest.mark.parametrize("parents", [False, True])
def test_swapped_files_are_computed_anew(changing, parents):
    """Of one size and one time, as archives that are unpacked leave them."""
    lab, tree = changing, changing.tree
    for folder in ("A", "B"):
        lab.add_image(f"{folder}/1.bmp")
        os.utime(tree / folder / "1.bmp", ns=(0, 0))
    output = lab.folder / f"swapped-{parents}"
    assert lab.run(output, BEFORE).returncode == 0
    one, other = [tree / name for name in (("A", "B") if parents else ("A/1.bmp", "B/1.bmp"))]
    assert (tree / "A/1.bmp").stat().st_size == (tree / "B/1.bmp").stat().st_size
    one.rename(tree / "aside")
    other.rename(one)
    (tree / "aside").rename(other)
    assert reused_by(lab, output) == (13, "")
    assert files_of(output, RUN) == full_run(lab)


def test_a_tree_that_was_moved_costs_nothing(changing):
    """Its files have the inodes and times they had; the outputs have the paths of now."""
    lab = changing
    output = lab.folder / "moved-output"
    assert lab.run(output, BEFORE).returncode == 0
    (lab.folder / "another").mkdir()
    lab.tree = lab.tree.rename(lab.folder / "another/tree of images")
    assert reused_by(lab, output) == (13, "")
    assert files_of(output, RUN) == full_run(lab)
    metadata = pq.read_table(output / f"metadata/parquet/metadata_{RUN}").to_pydict()
    below = [str(pathlib.Path(path).relative_to(lab.tree)) for path in metadata["path"]]
    assert metadata["relative_path"] == below

    for name in ("A/1.bmp", "B/1.bmp"):
        lab.add_image(name)
        os.utime(lab.tree / name, ns=(0, 0))
    assert reused_by(lab, output, "grown") == (13, "")
    (lab.tree / "A").rename(lab.tree / "aside")
    (lab.tree / "B").rename(lab.tree / "A")
    (lab.tree / "aside").rename(lab.tree / "B")
    lab.tree = lab.tree.rename(lab.folder / "moved again")
    assert reused_by(lab, output, "swapped") == (13, "")
    shutil.rmtree(lab.folder / "full", ignore_errors=True)
    assert lab.run(lab.folder / "full", "swapped").returncode == 0
    assert files_of(output, "swapped") == files_of(lab.folder / "full", "swapped")


def test_more_and_less_of_a_tree(changing):
    """INPUT becomes the folder above it, and then what it was."""
    lab = changing
    output = lab.folder / "widened-output"
    above = lab.folder / "above"
    above.mkdir()
    inner = lab.tree.rename(above / "inner")
    for lab.tree, run_id in ((inner, BEFORE), (above, "widened"), (inner, "narrowed")):
        assert reused_by(lab, output, run_id) == (0 if run_id == BEFORE else 13, "")


def test_a_moved_tree_goes_on_where_it_was(changing):
    lab = changing
    output = lab.folder / "unfinished"
    assert lab.run(output, "other", shard="1/2").returncode == 0
    lab.tree = lab.tree.rename(lab.folder / "another tree")
    finished = lab.run(output)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert int(finished.stdout.split()[3]) == 8
    assert files_of(output, RUN) == full_run(lab)


class ChangingTree:
    """Images of one size and one time, so that neither tells which of them changed."""

    def __init__(self, folder, seed):
        self.folder = folder
        self.numbers = random.Random(seed)
        for _ in range(20):
            self.add()

    def images(self):
        return sorted(path for path in self.folder.rglob("*") if path.is_file())

    def some(self, count=1):
        return self.numbers.sample(self.images(), count)

    def new_name(self):
        path = self.folder / self.numbers.choice("ABCDE") / f"{self.numbers.randrange(10**6)}.bmp"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def write(self, path):
        image = Image.new("RGB", (3, 3))
        image.putdata([tuple(self.numbers.randbytes(3)) for _ in range(9)])
        image.save(path, format="BMP")
        if self.numbers.random() < 0.1:
            path.write_bytes(self.numbers.randbytes(path.stat().st_size))
        os.utime(path, ns=(0, 0))

    def add(self):
        self.write(self.new_name())

    def delete(self):
        if len(self.images()) > 12:
            self.some()[0].unlink()

    def rename(self):
        self.some()[0].rename(self.new_name())

    def replace(self):
        """As editors do: by another file of the same name."""
        path = self.some()[0]
        self.write(path.with_suffix(".new"))
        path.with_suffix(".new").rename(path)

    def rewrite(self):
        self.write(self.some()[0])

    def swap(self):
        self.swap_paths(*self.some(2))

    def swap_labels(self):
        labels = [path for path in sorted(self.folder.iterdir()) if path.is_dir()]
        self.swap_paths(*self.numbers.sample(labels, 2))

    def swap_paths(self, one, other):
        aside = self.folder / "aside"
        one.rename(aside)
        other.rename(one)
        aside.rename(other)

    def change(self):
        changes = [self.add, self.delete, self.rename, self.replace, self.rewrite, self.swap]
        for _ in range(self.numbers.randint(0, 4)):
            self.numbers.choice([*changes, self.swap_labels])()


def grow(lab, rounds):
    """Every run that takes over has the bytes of one that does not; returns how many rows did."""
    tree = ChangingTree(lab.folder / "changing", rounds)
    grown, full = lab.folder / "grown", lab.folder / "computed"
    numbers = random.Random(rounds)
    rows = reused = 0
    for number in range(rounds):
        run_id = f"r{number}"
        formats = numbers.choice(["parquet,csv", "parquet", "csv"])
        options = [f"threads={numbers.randint(1, 3)}", f"formats={formats}"]
        options += [f"vectors={numbers.choice(['fixed', 'list', 'spark'])}"]
        for output, fresh in ((grown, 0), (full, 1)):
            job = [lab.driver, tree.folder, output, run_id, *options, f"fresh={fresh}"]
            finished = subprocess.run(job, capture_output=True, text=True, check=False)
            assert finished.returncode == 0 and finished.stderr == "", finished.stderr
            counts = finished.stdout.split()
            rows += int(counts[1])
            reused += int(counts[5])
            assert fresh == 0 or int(counts[5]) == 0
        assert files_of(grown, run_id) == files_of(full, run_id), number
        tree.change()
    return rows // 2, reused


def test_growth_gives_the_bytes_of_a_full_run(lab):
    rows, reused = grow(lab, 12)
    assert reused > rows / 3


@pytest.mark.long
def test_growth_gives_the_bytes_of_a_full_run_a_hundred_times(lab):
    rows, reused = grow(lab, 100)
    print(f"{reused} of {rows} rows were taken over")
    assert reused > rows / 3
