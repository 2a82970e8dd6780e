"""The nearest images, of a picture and of each, against FAISS and scikit-learn."""

import hashlib
import json
import shutil
import subprocess

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from pomona import Index, Run, audit
from runs import RUN_ID
from sklearn.neighbors import NearestNeighbors


def features_of(output):
    table = pq.read_table(output / f"features/parquet/features_{RUN_ID}")
    column = table["features"].combine_chunks()
    return column.flatten().to_numpy().reshape(len(table), -1), table["path"].to_pylist()


def distances_between(queries, rows):
    """1 - cosine in float64, by numpy; 1 where one of them is all zeros."""

    def unit(vectors):
        vectors = vectors.astype(np.float64)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)

    return 1 - unit(queries) @ unit(rows).T


def check(found, queries, rows, paths, k):
    """found: what Index.search() gave. Of rows as near as one another FAISS and scikit-learn may
    have others, so distances are compared, and each is that of the row that it is said of."""
    each = min(k, len(rows))
    assert found["query"].to_pylist() == np.repeat(np.arange(len(queries)), each).tolist()
    assert found["rank"].to_pylist() == list(range(1, each + 1)) * len(queries)
    distance = found["distance"].to_numpy().reshape(len(queries), each)
    place = {path: row for row, path in enumerate(paths)}
    row = np.array([place[path] for path in found["path"].to_pylist()]).reshape(distance.shape)
    all_distances = distances_between(queries, rows)
    np.testing.assert_allclose(
        distance, np.take_along_axis(all_distances, row, 1), rtol=0, atol=1e-12
    )
    assert all(len(set(of_one)) == each for of_one in row.tolist())
    # The nearest first, of equal ones in the order of rows: numpy's own rounding aside.
    assert ((np.diff(distance) > 0) | ((np.diff(distance) == 0) & (np.diff(row) > 0))).all()

    theirs = NearestNeighbors(n_neighbors=each, metric="cosine", algorithm="brute")
    theirs.fit(rows.astype(np.float64))
    expected, _ = theirs.kneighbors(queries.astype(np.float64))
    np.testing.assert_allclose(distance, expected, rtol=0, atol=1e-12)

    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    index = faiss.IndexFlatIP(rows.shape[1])
    index.add(np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0))
    norms = np.linalg.norm(queries, axis=1, keepdims=True)
    products, _ = index.search(
        np.divide(queries, norms, out=np.zeros_like(queries), where=norms > 0), each
    )
    np.testing.assert_allclose(distance, 1 - products, rtol=0, atol=3e-6)  # in float32


@pytest.fixture(scope="module")
def index(fruits):
    return Index(fruits)


@pytest.mark.parametrize("k", [1, 10, 100])
def test_neighbours_of_the_fruits_are_theirs(fruits, index, k):
    rows, paths = features_of(fruits)
    assert len(index) == len(rows)
    column = Run(fruits).features()["features"]
    check(index.search(column, k), rows, rows, paths, k)


def test_neighbours_of_anything(fruits, index):
    rows, paths = features_of(fruits)
    random = np.random.default_rng(5)
    queries = np.concatenate(
        [
            random.standard_normal((100, rows.shape[1])),  # away from all, too
            random.random((100, rows.shape[1])),
            rows[::50] + 0.1 * random.standard_normal(rows[::50].shape),
            1e-10 * rows[:3],  # scikit-learn takes still shorter ones for zero
        ]
    ).astype(np.float32)
    check(index.search(queries, 7), queries, rows, paths, 7)
    few = queries[::40]
    check(index.search(few, 10**6), few, rows, paths, 10**6)


@pytest.fixture(scope="module")
def odd(tmp_path_factory, run):
    """A tree with pictures that are there several times, and black ones."""
    from PIL import Image

    tree = tmp_path_factory.mktemp("odd") / "tree"
    random = np.random.default_rng(2)
    for number in range(40):
        pixels = random.integers(0, 256, (8, 8, 3), np.uint8)
        for copy in range(number % 4 + 1):
            file = tree / f"label{copy}" / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(file)
    return run(tree, "--pca-components", "5")


def test_equal_ones_stand_in_the_order_of_paths(odd):
    rows, paths = features_of(odd)
    index = Index(odd)
    check(index.search(rows, 5), rows, rows, paths, 5)
    found = index.search(rows, 4)
    for query, path in enumerate(paths):
        number = path.rsplit("/", 1)[1]
        nearest = found["path"].to_pylist()[4 * query : 4 * query + 4]
        copies = [other for other in paths if other.endswith("/" + number)]
        assert nearest[: len(copies)] == copies
        assert found["distance"].to_pylist()[4 * query : 4 * query + len(copies)] == [0] * len(
            copies
        )
    nothing = np.zeros((1, rows.shape[1]), np.float32)
    found = index.search(nothing, 3)
    assert found["path"].to_pylist() == paths[:3]
    assert found["distance"].to_pylist() == [1, 1, 1]


def test_pictures_are_found_as_the_run_read_them(fruits, index, data):
    from PIL import Image

    files = sorted((data / "fruits/Training").rglob("*.jpg"))[::400]
    in_all_forms = [*files, files[0].read_bytes(), Image.open(files[1])]
    found = index.search(in_all_forms, 3)
    first = [row for row in found.to_pylist() if row["rank"] == 1]
    assert [row["path"] for row in first] == [str(f) for f in [*files, files[0], files[1]]]
    assert {row["distance"] for row in first} == {0}
    texts = pa.array([str(file) for file in files])
    of_files = found.slice(0, 3 * len(files))
    assert index.search(texts, 3).equals(of_files)
    assert index.search(np.array([str(file) for file in files]), 3).equals(of_files)
    assert index.search((file for file in files), 3).equals(of_files)


def test_what_cannot_be_searched(index, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"\xff\xd8\xff\xe0 no picture")
    with pytest.raises(ValueError, match=r"queries\[0\]: .*bad\.jpg"):
        index.search([bad])
    with pytest.raises(ValueError, match=r"queries\[0\]: .*none\.jpg: missing"):
        index.search([tmp_path / "none.jpg"])
    with pytest.raises(TypeError, match="several"):
        index.search("one.jpg")
    with pytest.raises(ValueError, match="vectors of 3, where those of the run have 1280"):
        index.search(np.zeros((2, 3), np.float32))
    with pytest.raises(ValueError, match="row 1 holds NaN"):
        index.search(np.array([[0] * 1280, [np.nan] * 1280], np.float32))
    with pytest.raises(ValueError, match="at least 1"):
        index.search(np.zeros((1, 1280), np.float32), 0)
    with pytest.raises(TypeError, match="queries: the vectors do not make up a matrix"):
        index.search([np.zeros(1280, np.float32), bad])
    with pytest.raises(ValueError, match="k: at least 1, not -1"):
        index.search([bad], -1)
    assert index.search(np.zeros((1, 1280), np.float32), 10**10).num_rows == len(index)
    assert index.search([]).num_rows == 0
    with pytest.raises(ValueError, match="no run is published"):
        Index(tmp_path)
    with pytest.raises(ValueError, match="threads -1"):
        Index(tmp_path, threads=-1)


def table(output):
    return pq.read_table(output / f"audit/neighbours/parquet/neighbours_{RUN_ID}")


def test_an_audits_table_has_the_nearest_of_each(fruits, index):
    rows, paths = features_of(fruits)
    audit(fruits, knn=5)
    found = table(fruits)
    assert found["path"].to_pylist() == np.repeat(paths, 5).tolist()
    assert found["rank"].to_pylist() == list(range(1, 6)) * len(paths)
    theirs = NearestNeighbors(n_neighbors=5, metric="cosine", algorithm="brute")
    expected, _ = theirs.fit(rows.astype(np.float64)).kneighbors()  # without the row itself
    distance = found["distance"].to_numpy().reshape(-1, 5)
    np.testing.assert_allclose(distance, expected, rtol=0, atol=1e-12)
    labels = {path: path.split("/")[-2] for path in paths}
    for column, of in (("label", "path"), ("neighbour_label", "neighbour")):
        assert found[column].to_pylist() == [labels[path] for path in found[of].to_pylist()]
    # The same as by the index, of which the first is the image itself, or equal to it.
    theirs = index.search(rows, 6).to_pandas()
    theirs = theirs[theirs["path"] != np.repeat(paths, 6)].groupby("query").head(5)
    assert theirs["path"].tolist() == found["neighbour"].to_pylist()
    text = pyarrow.csv.read_csv(
        fruits / f"audit/neighbours/neighbours_{RUN_ID}/part-00000.csv",
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=found.schema, strings_can_be_null=False
        ),
    )
    assert text.equals(found.replace_schema_metadata())
    audit(fruits)
    assert not (fruits / f"audit/neighbours/neighbours_{RUN_ID}").exists()


def ask(program, output, *arguments):
    done = subprocess.run(
        [program, "neighbours", output, *arguments, "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_program_finds_the_same(pomona, fruits, index, data, tmp_path):
    rows, paths = features_of(fruits)
    found = ask(pomona, fruits, "--image", paths[700], "-k", "4")
    expected = [row for row in index.search(rows[700:701], 5).to_pylist() if row["rank"] > 1]
    assert [(one["path"], one["label"], one["distance"]) for one in found] == [
        (row["path"], row["label"], row["distance"]) for row in expected
    ]
    assert [one["rank"] for one in found] == [1, 2, 3, 4]

    # A file of its own, and the same picture as the run has it.
    copy = tmp_path / "copy.jpg"
    shutil.copyfile(paths[700], copy)
    found = ask(pomona, fruits, "--image", copy, "-k", "3")
    assert found[0] == {
        "rank": 1,
        "distance": 0,
        "label": paths[700].split("/")[-2],
        "path": paths[700],
    }
    assert [one["path"] for one in found[1:]] == [row["path"] for row in expected[:2]]


def test_a_picture_is_decoded_as_the_runs_were(pomona, run, tmp_path):
    from PIL import Image

    tree = tmp_path / "tree/label"
    tree.mkdir(parents=True)
    random = np.random.default_rng(8)
    for number in range(4):
        coarse = random.integers(0, 256, (60, 60, 3), np.uint8)
        picture = Image.fromarray(coarse).resize((1500, 1200))
        picture.save(tree / f"{number}.jpg", quality=90)
    output = run(tree.parent, "--decode", "scaled", "--pca-components", "2")
    copy = tmp_path / "copy.jpg"
    shutil.copyfile(tree / "2.jpg", copy)
    (found,) = ask(pomona, output, "--image", copy, "-k", "1")
    assert (found["path"], found["distance"]) == (str(tree / "2.jpg"), 0)
    exact = run(tree.parent, "--pca-components", "2")
    assert not np.array_equal(features_of(exact)[0], features_of(output)[0])


def refused(program, output, *arguments):
    done = subprocess.run(
        [program, "neighbours", output, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    return done.stderr


def test_what_the_program_refuses(pomona, odd, tmp_path):
    assert "no run is published in" in refused(pomona, tmp_path, "--image", "x.jpg")
    said = refused(pomona, odd, "--image", "x.jpg")
    assert "x.jpg: neither the path of an image of the run" in said
    assert "nor a file of this machine" in said
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    assert f"{bad}: corrupt: " in refused(pomona, odd, "--image", bad)
    text = tmp_path / "notes.txt"
    text.write_text("no picture")
    assert f"{text}: not_an_image" in refused(pomona, odd, "--image", text)


def test_weights_have_to_be_the_runs(pomona, odd, tmp_path):
    """Of a published image none are needed."""
    info = odd / f"model_info/model_info_{RUN_ID}/part-00000.json"
    other = tmp_path / "out"
    shutil.copytree(odd, other)
    info = other / info.relative_to(odd)
    before = info.read_bytes()
    told = json.loads(before)
    told["weights"]["digest"] = "0" * 64
    info.write_text(json.dumps(told))
    _, paths = features_of(odd)
    copy = tmp_path / "copy.png"
    shutil.copyfile(paths[0], copy)
    assert "its checksum is wrong" in refused(pomona, other, "--image", copy)
    # As a run of other weights leaves it.
    sums = other / f"run_info/run_info_{RUN_ID}/_SHA256SUMS"
    digests = [hashlib.sha256(content).hexdigest() for content in (before, info.read_bytes())]
    sums.write_text(sums.read_text().replace(*digests))
    said = refused(pomona, other, "--image", copy)
    assert "made with the weights 0000" in said
    assert "--weights" in said
    assert len(ask(pomona, other, "--image", paths[0])) == 10
    with pytest.raises(ValueError, match="name their file by weights"):
        Index(other).search([copy])
