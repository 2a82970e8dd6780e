"""`pomona verify` finds whatever is wrong with a published run."""

import hashlib
import json
import re
import shutil
import subprocess

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import BEFORE, RUN, paths_of


@pytest.fixture(scope="module")
def sound(lab):
    output = lab.folder / "sound"
    shutil.copytree(lab.template, output)
    assert lab.run(output).returncode == 0
    return output


@pytest.fixture
def output(lab, sound):
    copy = lab.folder / "damaged"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(sound, copy)
    return copy


@pytest.fixture
def verify(pomona):
    def verify(output, *options):
        job = [pomona, "verify", output, *options]
        return subprocess.run(job, capture_output=True, text=True, check=False)

    return verify


def sums_of(output):
    return output / f"run_info/run_info_{RUN}/_SHA256SUMS"


def test_sound_runs(verify, sound):
    finished = verify(sound)
    assert finished.returncode == 0
    assert finished.stdout == f"run {RUN}: 24 files, 13 rows: sound\n"
    finished = verify(sound, "--run-id", BEFORE)
    assert finished.stdout == f"run {BEFORE}: 24 files, 8 rows: sound\n"
    assert verify(sound, "--run-id", "none").returncode == 1
    assert "no run none is published" in verify(sound, "--run-id", "none").stderr
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", sums_of(sound)], cwd=sound, check=False
    )
    assert checked.returncode == 0


@pytest.mark.parametrize("vectors", ["fixed", "list", "spark"])
def test_sound_runs_of_every_layout(verify, lab, vectors):
    output = lab.folder / f"layout-{vectors}"
    assert lab.run(output, vectors=vectors).returncode == 0
    finished = verify(output)
    assert finished.stdout == f"run {RUN}: 24 files, 13 rows: sound\n"


def files(folder):
    return sorted(path for path in paths_of(folder, RUN) if path.name != "_SUCCESS")


def test_every_file_damaged_cut_or_lost(verify, sound, output):
    names = [path.relative_to(sound) for path in files(sound)]
    assert len(names) == 25
    for name in names:
        path = output / name
        data = path.read_bytes()
        middle = len(data) // 2
        flipped = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        for damaged in (flipped, data[:-1], b"", None):
            if damaged is None:
                path.unlink()
            else:
                path.write_bytes(damaged)
            finished = verify(output)
            assert finished.returncode == 1, (name, damaged)
            # A checksum that is wrong itself blames its file.
            blamed = "" if name.name == "_SHA256SUMS" else str(path)
            assert blamed in finished.stdout, (name, finished.stdout)
            assert finished.stdout.endswith("damaged\n")
        path.write_bytes(data)
    assert verify(output).returncode == 0


def test_what_is_missing_or_too_much(verify, output):
    for success in [path for path in paths_of(output, RUN) if path.name == "_SUCCESS"]:
        success.unlink()
        finished = verify(output, "--run-id", RUN)
        assert finished.returncode == 1 and f"{success} is missing" in finished.stdout
        success.touch()
    extra = output / f"features/csv/features_{RUN}/part-00002.csv"
    extra.write_text("path,label,features_string\n")
    assert f"{extra}: no file of this run" in verify(output).stdout


def edit(name, pattern, text):
    def change(output):
        path = output / name
        before = path.read_text()
        after = re.sub(pattern, text, before, count=1, flags=re.DOTALL)
        assert after != before
        path.write_text(after)

    return change


def edit_parquet(name, change_rows):
    def change(output):
        path = output / name
        table = pq.read_table(path)
        rows = change_rows(table.to_pylist())
        changed = pa.Table.from_pylist(rows, schema=table.schema)
        pq.write_table(changed, path, write_page_checksum=True)

    return change


def wrong_number(column):
    def change(rows):
        rows[1][column][1] += 1
        return rows

    return change


def renumbered(rows):
    return [{**row, "id": row["id"] - 1} for row in rows]


def counts(**changes):
    def change(output):
        path = output / f"run_info/run_info_{RUN}/part-00000.json"
        info = json.loads(path.read_text())
        info["counts"].update(changes)
        path.write_text(json.dumps(info))

    return change


FEATURES = f"features/parquet/features_{RUN}/part-00000.parquet"
FEATURES_CSV = f"features/csv/features_{RUN}/part-00000.csv"
PCA = f"pca/parquet/pca_{RUN}/part-00001.parquet"
PCA_CSV = f"pca/csv/pca_{RUN}/part-00000.csv"
METADATA = f"metadata/metadata_{RUN}/part-00000.csv"
FIRST_IMAGES = f"metadata/parquet/metadata_{RUN}/part-00000.parquet"
IMAGES = f"metadata/parquet/metadata_{RUN}/part-00001.parquet"
ERRORS = f"errors/errors_{RUN}/part-00000.csv"
ERRORS_PARQUET = f"errors/parquet/errors_{RUN}/part-00000.parquet"
MODEL = f"model_info/model_info_{RUN}/part-00000.json"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (edit_parquet(FEATURES, wrong_number("features")), "other features than in the other"),
        (edit_parquet(FEATURES, lambda rows: rows[::-1]), "stands after"),
        (edit_parquet(FEATURES, lambda rows: rows[:-1]), f"{FEATURES_CSV}: other rows"),
        (edit_parquet(PCA, wrong_number("pca_features")), f"{PCA}: the projection of "),
        (edit_parquet(PCA, lambda rows: rows[:-1]), f"{PCA}: other rows"),
        (edit(FEATURES_CSV, r'"[\d.]+,', '"0.123,'), f"{FEATURES_CSV}: other features"),
        (edit(FEATURES_CSV, r'"[\d.]+,', '"'), f"{FEATURES_CSV}: a vector of a wrong length"),
        (edit(FEATURES_CSV, r'"[\d.]+,', '"x,'), f"{FEATURES_CSV}: a vector with something else"),
        (edit(PCA_CSV, r'"-?[\d.]+,', '"7,'), f"{PCA_CSV}: the projection of "),
        (edit(METADATA, r"(\n[^\n]*)(\n[^\n]*)", r"\2\1"), f"{METADATA}: other rows"),
        (edit(METADATA, r"\n[^\n]*\n", "\n"), f"{METADATA}: other rows"),
        (edit_parquet(IMAGES, lambda rows: rows[:-1]), f"{IMAGES}: other rows"),
        (edit_parquet(IMAGES, renumbered), f"{IMAGES}: "),
        (edit_parquet(IMAGES, renumbered), " in the place of "),
        (edit(ERRORS, r"\n.*", "\n"), f"{ERRORS}: 0 rows, but 1 rejects"),
        (edit_parquet(ERRORS_PARQUET, lambda rows: rows * 2), f"{ERRORS_PARQUET}: 2 rows, but 1"),
        (edit(MODEL, r'(_images_processed": )13', r"\g<1>14"), "number of images"),
        (counts(listed=16), "listed 16 is not 13 rows + 1 rejects + 1 skips"),
        (counts(listed=16, rows=14), "13 rows in the tables, but 14 in run_info"),
    ],
)
def test_what_checksums_cannot_tell(verify, output, change, problem):
    """Files that are wrong in themselves, as an error in the program might leave them."""
    finished = verify_changed(verify, output, change)
    assert finished.returncode == 1
    assert problem in finished.stdout, finished.stdout
    assert "checksum" not in finished.stdout


@pytest.mark.parametrize(
    ("change", "problem", "told", "others"),
    [
        (edit_parquet(FIRST_IMAGES, renumbered), " has the number -1 in the place of 0", 1, 0),
        # All other tables differ from it,
        (edit_parquet(FEATURES, lambda rows: rows[::-1]), " stands after ", 1, 5),
        # and so does the number of rows; but those of the next part have the numbers that they had.
        (edit_parquet(FEATURES, lambda rows: rows[:-1]), ": other rows than the other", 5, 1),
    ],
)
def test_one_mistake_is_told_once(verify, output, change, problem, told, others):
    """Of a table, that is, not for each row and part that follows."""
    *problems, _ = verify_changed(verify, output, change).stdout.splitlines()
    assert sum(problem in line for line in problems) == told, problems
    assert len(problems) == told + others, problems


def verify_changed(verify, output, change):
    """With the checksums of what was changed."""
    change(output)
    lines = []
    for line in sums_of(output).read_text().splitlines():
        name = line.split("  ", 1)[1]
        lines.append(f"{hashlib.sha256((output / name).read_bytes()).hexdigest()}  {name}\n")
    sums_of(output).write_text("".join(lines))
    return verify(output)
