"""Every output opens in the tools that its users have, and says the same in all of them."""

import glob
import hashlib
import json
import pathlib
import shutil

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet
import pytest
import safetensors.numpy
import sklearn.decomposition
from PIL import Image
from runs import RUN_ID

COMPONENTS = 50
DIMENSIONS = 1280
FRUITS = 1716

FOLDERS = [
    "features/parquet/features",
    "features/csv/features",
    "pca/parquet/pca",
    "pca/csv/pca",
    "metadata/metadata",
    "metadata/parquet/metadata",
    "model_info/model_info",
    "model_info/variance",
    "model_info/pca_model",
    "model_info/pca_onnx",
    "errors/errors",
    "errors/parquet/errors",
    "run_info/run_info",
]
REPORT = f"report/report_{RUN_ID}"  # which holds no parts
SPARK_PCA = f"model_info/spark_pca_{RUN_ID}"  # which holds two folders


def folder(output, name):
    return str(output / f"{name}_{RUN_ID}")


def parts(path):
    return sorted(glob.glob(f"{path}/part-*"))


# Readers. Each gives (names of the columns, rows as tuples of Python values), of CSV perhaps texts.


class PyArrow:
    @staticmethod
    def rows(table):
        return table.column_names, list(zip(*table.to_pydict().values(), strict=True))

    def parquet(self, path):
        return self.rows(pyarrow.parquet.read_table(path))

    def csv(self, path):
        options = pyarrow.csv.ParseOptions(newlines_in_values=True)
        tables = [pyarrow.csv.read_csv(part, parse_options=options) for part in parts(path)]
        return self.rows(pa.concat_tables(tables))

    def json(self, path):
        options = pyarrow.json.ParseOptions(newlines_in_values=True)
        (row,) = pyarrow.json.read_json(parts(path)[0], parse_options=options).to_pylist()
        return row


class Pandas:
    @staticmethod
    def rows(frame):
        return list(frame.columns), list(frame.itertuples(index=False, name=None))

    def parquet(self, path):
        return self.rows(pd.read_parquet(path))

    def csv(self, path):
        return self.rows(pd.concat(pd.read_csv(part) for part in parts(path)))

    def json(self, path):
        return pd.read_json(parts(path)[0], typ="series", precise_float=True).to_dict()


class DuckDb:
    @staticmethod
    def rows(relation):
        return relation.columns, relation.fetchall()

    def parquet(self, path):
        return self.rows(duckdb.read_parquet(f"{path}/part-*"))

    def csv(self, path):
        return self.rows(duckdb.read_csv(f"{path}/part-*", header=True))

    def json(self, path):
        names, (row,) = self.rows(duckdb.read_json(f"{path}/part-*", maximum_object_size=1 << 24))
        return dict(zip(names, row, strict=True))


class PySpark:
    def __init__(self, spark):
        self.spark = spark

    @staticmethod
    def rows(frame):
        return frame.columns, [tuple(row) for row in frame.collect()]

    def parquet(self, path):
        return self.rows(self.spark.read.parquet(path))

    def csv(self, path):
        # RFC 4180 doubles a quote, where Spark expects a backslash unless told.
        return self.rows(self.spark.read.csv(path, header=True, escape='"', multiLine=True))

    def json(self, path):
        (row,) = self.spark.read.json(path, multiLine=True).collect()
        return row.asDict(recursive=True)


@pytest.fixture(scope="session", params=["pyarrow", "pandas", "duckdb", "pyspark"])
def reader(request):
    if request.param == "pyspark":
        return PySpark(request.getfixturevalue("spark"))
    return {"pyarrow": PyArrow, "pandas": Pandas, "duckdb": DuckDb}[request.param]()


def matrix(vectors, dtype):
    """One row a vector, whatever a reader makes of one."""

    def values(vector):
        if isinstance(vector, str):
            return vector.split(",")
        if isinstance(vector, dict):  # the storage of Spark's vector
            assert vector["type"] == 1 and vector["size"] is None and vector["indices"] is None
            return vector["values"]
        return vector.toArray() if hasattr(vector, "toArray") else vector

    return np.array([np.asarray(values(vector), dtype) for vector in vectors])


def read_parquet(output, name, dtype=np.float32):
    """(paths, labels, vectors) as pyarrow reads them, for the tests of their content."""
    _, rows = PyArrow().parquet(folder(output, name))
    paths, labels, vectors = zip(*rows, strict=True)
    return paths, labels, matrix(vectors, dtype)


def read_pca_model(output):
    (part,) = parts(folder(output, "model_info/pca_model"))
    return safetensors.numpy.load_file(part)


def read_json(output, name):
    """As the original's consumers read it: the parts' text, joined."""
    text = "".join(pathlib.Path(part).read_text("utf-8") for part in parts(folder(output, name)))
    return json.loads(text)


@pytest.fixture(scope="module")
def fruit_features(fruits_run):
    return read_parquet(fruits_run, "features/parquet/features")


@pytest.fixture(scope="module")
def fruit_pca(fruits_run):
    return read_parquet(fruits_run, "pca/parquet/pca")


# The files.


def test_every_folder_has_parts_and_success(fruits_run):
    for name in FOLDERS:
        names = sorted(file.name for file in (fruits_run / f"{name}_{RUN_ID}").iterdir())
        assert (fruits_run / f"{name}_{RUN_ID}/_SUCCESS").stat().st_size == 0
        # Readers that follow the convention do not see what begins with `_`.
        seen = [file for file in names if not file.startswith("_")]
        suffix = seen[0].removeprefix("part-00000")
        assert seen == [f"part-{i:05}{suffix}" for i in range(len(seen))], name
        hidden = ["_SHA256SUMS", "_SUCCESS", "_items-part-00000.safetensors"]
        assert names[: -len(seen)] == (hidden if name == "run_info/run_info" else ["_SUCCESS"])

    names = sorted(file.name for file in (fruits_run / REPORT).iterdir())
    assert names == ["_SUCCESS", "report.html"]
    inner = sorted(str(f.relative_to(fruits_run)) for f in (fruits_run / SPARK_PCA).rglob("*"))
    assert inner == [
        f"{SPARK_PCA}/{name}"
        for name in (
            "_SUCCESS",
            "data",
            "data/_SUCCESS",
            "data/part-00000.parquet",
            "metadata",
            "metadata/_SUCCESS",
            "metadata/part-00000.txt",
        )
    ]


def test_nothing_else_is_published(fruits_run):
    published = {str(path.parent.relative_to(fruits_run)) for path in fruits_run.rglob("_SUCCESS")}
    spark = {SPARK_PCA, f"{SPARK_PCA}/metadata", f"{SPARK_PCA}/data"}
    assert published == {f"{name}_{RUN_ID}" for name in FOLDERS} | {REPORT} | spark


# The same rows in the same order in every tool.


def test_features(reader, fruits_run, fruit_features):
    paths, labels, features = fruit_features
    assert features.shape == (FRUITS, DIMENSIONS)
    assert list(paths) == sorted(paths, key=str.encode)
    for names, rows in (
        reader.parquet(folder(fruits_run, "features/parquet/features")),
        reader.csv(folder(fruits_run, "features/csv/features")),
    ):
        assert names[:2] == ["path", "label"]
        assert names[2] in ("features", "features_string")
        assert [row[:2] for row in rows] == list(zip(paths, labels, strict=True))
        read = matrix([row[2] for row in rows], np.float32)
        assert np.array_equal(read.view(np.uint32), features.view(np.uint32))


def test_pca_lists(reader, fruits_run, fruit_features, fruit_pca):
    paths, labels, pca = fruit_pca
    assert (paths, labels) == fruit_features[:2]
    assert pca.shape == (FRUITS, COMPONENTS)
    for names, rows in (
        reader.parquet(folder(fruits_run, "pca/parquet/pca")),
        reader.csv(folder(fruits_run, "pca/csv/pca")),
    ):
        assert names[:2] == ["path", "label"]
        assert names[2] in ("pca_features", "pca_features_string")
        assert [row[:2] for row in rows] == list(zip(paths, labels, strict=True))
        read = matrix([row[2] for row in rows], np.float32)
        assert np.array_equal(read.view(np.uint32), pca.view(np.uint32))


def test_pca_vectors(reader, sample_run):
    paths, labels, pca = read_parquet(sample_run, "pca/parquet/pca", np.float64)
    assert pca.shape == (120, 10)
    names, rows = reader.parquet(folder(sample_run, "pca/parquet/pca"))
    assert names == ["path", "label", "pca_features"]
    assert [row[:2] for row in rows] == list(zip(paths, labels, strict=True))
    read = matrix([row[2] for row in rows], np.float64)
    assert np.array_equal(read.view(np.uint64), pca.view(np.uint64))
    # The text is of the same numbers, rounded.
    _, rows = reader.csv(folder(sample_run, "pca/csv/pca"))
    assert np.array_equal(matrix([row[2] for row in rows], np.float32), pca.astype(np.float32))


@pytest.mark.parametrize("layout", ["fixed", "list", "spark"])
def test_layouts(run, sample_tree, spark, layout):
    """Arrow's readers see sizes, where there are any; to the others every file is of lists."""
    output = run(sample_tree, "--pca-components", "10", "--vectors", layout, "--report", "none")
    for name, column, size in (
        ("features/parquet/features", "features", DIMENSIONS),
        ("pca/parquet/pca", "pca_features", 10),
    ):
        path = folder(output, name)
        if layout == "spark" and "pca" in name:
            continue  # test_pca_vectors
        sized = layout != "list"
        element = pa.field("element", pa.float32())
        expected = pa.list_(element, size) if sized else pa.list_(element)
        assert pyarrow.parquet.read_schema(parts(path)[0]).field(column).type == expected
        in_polars = pl.Array(pl.Float32, size) if sized else pl.List(pl.Float32)
        assert pl.read_parquet(f"{path}/*.parquet").schema[column] == in_polars
        (in_duckdb,) = duckdb.read_parquet(f"{path}/*.parquet").project(column).types
        assert in_duckdb == "FLOAT[]"
        assert spark.read.parquet(path).schema[column].dataType.simpleString() == "array<float>"
        assert pd.read_parquet(path)[column].map(len).eq(size).all()


def test_metadata(reader, fruits_run, fruit_features):
    names, rows = reader.csv(folder(fruits_run, "metadata/metadata"))
    assert names == ["path", "label"]
    assert rows == list(zip(*fruit_features[:2], strict=True))


IMAGES = {
    "id": "int64",
    "path": "string",
    "relative_path": "string",
    "label": "string",
    "size": "int64",
    "width": "int32",
    "height": "int32",
    "format": "string",
    "mode": "string",
    "content_sha256": "string",
}
ERRORS = {
    "path": "string",
    "relative_path": "string",
    "label": "string",
    "size": "int64",
    "stage": "string",
    "reason": "string",
    "message": "string",
}


def properties(path):
    """What Pillow and others say of a file: its columns in the table of images."""
    content = pathlib.Path(path).read_bytes()
    with Image.open(path) as image:
        image_file = (*image.size, image.format, image.mode)
    return (len(content), *image_file, hashlib.sha256(content).hexdigest())


def test_images(reader, data, fruits_run, fruit_features):
    names, rows = reader.parquet(folder(fruits_run, "metadata/parquet/metadata"))
    assert names == list(IMAGES)
    ids, paths, below, labels, *columns = zip(*rows, strict=True)
    assert ids == tuple(range(FRUITS))
    assert (paths, labels) == fruit_features[:2]
    root = data / "fruits/Training"
    assert list(below) == [str(pathlib.Path(path).relative_to(root)) for path in paths]
    rows = list(zip(*columns, strict=True))
    for i in range(0, FRUITS, 7):
        assert rows[i] == properties(paths[i])


def test_images_of_every_format_are_as_pillow_opens_them(run, data):
    output = run(data / "bad-images", "--report", "none", "--formats", "parquet")
    table = pyarrow.parquet.read_table(folder(output, "metadata/parquet/metadata"))
    assert {field.name: str(field.type) for field in table.schema} == IMAGES
    rows = table.to_pylist()
    assert len({row["format"] for row in rows}) >= 7
    assert len({row["mode"] for row in rows}) >= 7
    said = list(IMAGES)[4:]
    different = [
        (row["path"], found, expected)
        for row in rows
        if (found := tuple(row[name] for name in said)) != (expected := properties(row["path"]))
    ]
    assert different == []


def test_variance(reader, fruits_run):
    info = read_json(fruits_run, "model_info/model_info")
    names, rows = reader.csv(folder(fruits_run, "model_info/variance"))
    assert names == ["component", "variance_explained", "cumulative_variance"]
    components, variances, cumulative = zip(*rows, strict=True)
    assert [int(component) for component in components] == list(range(1, COMPONENTS + 1))
    for texts, exact in (
        (variances, info["variance_by_component"]),
        (cumulative, info["cumulative_variance"]),
    ):
        assert np.array_equal(np.array(texts, np.float32), np.array(exact, np.float32))


def test_errors(reader, fruits_run):
    names, rows = reader.csv(folder(fruits_run, "errors/errors"))
    assert names == ["path", "label", "stage", "reason", "message"]
    assert rows == []
    names, rows = reader.parquet(folder(fruits_run, "errors/parquet/errors"))
    assert names == list(ERRORS)
    assert rows == []


@pytest.mark.parametrize("name", ["model_info/model_info", "run_info/run_info"])
def test_json(reader, fruits_run, name):
    expected = read_json(fruits_run, name)
    read = reader.json(folder(fruits_run, name))
    for key, value in expected.items():
        # What else there is, nested or empty, each tool has a shape of its own for.
        if isinstance(value, (str, int, float, bool)):
            assert read[key] == value, key


def test_pca_model(fruits_run):
    model = read_pca_model(fruits_run)
    info = read_json(fruits_run, "model_info/model_info")
    assert model["mean"].shape == (DIMENSIONS,)
    assert model["components"].shape == (COMPONENTS, DIMENSIONS)
    assert model["explained_variance"].shape == (COMPONENTS,)
    assert all(array.dtype == np.float64 for array in model.values())
    assert np.array_equal(model["explained_variance_ratio"], info["variance_by_component"])
    assert np.array_equal(model["mean"], info["mean"])


# The rows of odd names survive the way through every tool.


@pytest.fixture(scope="module")
def odd_tree(sample_tree, tmp_path_factory):
    tree = tmp_path_factory.mktemp("odd")
    labels = ["Apple, red", 'The "best"', "two\nlines", " spaces ", "p\u00eache \u6843 \U0001f351"]
    pictures = sorted(sample_tree.rglob("*.jpg"))
    for i, label in enumerate(labels):
        (tree / label).mkdir()
        shutil.copy(pictures[12 * i], tree / label / "1.jpg")
        shutil.copy(pictures[12 * i + 1], tree / label / '2, "b".jpg')
    (tree / "two\nlines" / "cut.jpg").write_bytes(pictures[0].read_bytes()[:300])
    (tree / "two\nlines" / "empty.png").write_bytes(b"")
    (tree / "two\nlines" / "notes.txt").write_text("no image")
    return tree


@pytest.fixture(scope="module")
def odd_run(run, odd_tree):
    return run(odd_tree, "--pca-components", "2")


def test_odd_names(reader, odd_tree, odd_run):
    expected = [
        (str(path), path.parent.name)
        for path in sorted(odd_tree.rglob("[12]*.jpg"), key=lambda path: str(path).encode())
    ]
    assert len(expected) == 10
    for read, name in (
        (reader.parquet, "features/parquet/features"),
        (reader.csv, "features/csv/features"),
        (reader.csv, "metadata/metadata"),
    ):
        assert [row[:2] for row in read(folder(odd_run, name))[1]] == expected, name
    _, rows = reader.parquet(folder(odd_run, "metadata/parquet/metadata"))
    assert [(row[1], row[3]) for row in rows] == expected
    assert [row[2] for row in rows] == [
        str(pathlib.Path(p).relative_to(odd_tree)) for p, _ in expected
    ]


def test_rejects_and_skips(reader, odd_tree, odd_run):
    _, rows = reader.csv(folder(odd_run, "errors/errors"))
    assert [row[:4] for row in rows] == [
        (str(odd_tree / "two\nlines/cut.jpg"), "two\nlines", "decode", "truncated"),
        (str(odd_tree / "two\nlines/empty.png"), "two\nlines", "decode", "empty"),
    ]
    assert all(row[4] for row in rows)
    _, tables = reader.parquet(folder(odd_run, "errors/parquet/errors"))
    assert [(row[0], row[2], *row[4:]) for row in tables] == rows
    assert [row[1] for row in tables] == ["two\nlines/cut.jpg", "two\nlines/empty.png"]
    assert [row[3] for row in tables] == [300, 0]
    counts = read_json(odd_run, "run_info/run_info")["counts"]
    assert counts == {"listed": 13, "rows": 10, "rejects": 2, "skips": 1, "resumed": 0}


def test_conservation(fruits_run):
    info = read_json(fruits_run, "run_info/run_info")
    counts = info["counts"]
    assert counts["listed"] == counts["rows"] + counts["rejects"] + counts["skips"]
    assert counts["listed"] == counts["rows"] == FRUITS
    assert info["run_id"] == RUN_ID
    assert read_json(fruits_run, "model_info/model_info")["num_images_processed"] == FRUITS


# The original's consumers: the same code reads the original's output and ours.

SEED_ID = "20251123_143253"


@pytest.fixture(scope="module")
def seed(data):
    return data / "reference/seed_output_sample"


@pytest.mark.parametrize(
    "name",
    [
        "features/parquet/features",
        "features/csv/features",
        "pca/parquet/pca",
        "pca/csv/pca",
        "metadata/metadata",
        "model_info/variance",
    ],
)
def test_spark_consumer(spark, seed, sample_run, name):
    def schema(path):
        if "parquet" in name:
            frame = spark.read.parquet(path)
        else:
            frame = spark.read.csv(path, header=True, inferSchema=True)
        return [(field.name, field.dataType, field.nullable) for field in frame.schema]

    assert schema(folder(sample_run, name)) == schema(f"{seed}/{name}_{SEED_ID}")


def test_spark_consumer_gets_vectors(spark, sample_run):
    from pyspark.ml.linalg import DenseVector, VectorUDT
    from pyspark.ml.stat import Summarizer

    frame = spark.read.parquet(folder(sample_run, "pca/parquet/pca"))
    assert frame.schema["pca_features"].dataType == VectorUDT()
    assert isinstance(frame.first().pca_features, DenseVector)
    (mean,) = frame.select(Summarizer.mean(frame.pca_features)).first()
    _, _, pca = read_parquet(sample_run, "pca/parquet/pca", np.float64)
    np.testing.assert_allclose(mean.toArray(), pca.mean(axis=0), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["features/parquet/features", "pca/parquet/pca"])
def test_pandas_consumer_of_parquet(seed, sample_run, name):
    def frame(path):
        return pd.concat(pd.read_parquet(part) for part in parts(path))

    ours, original = frame(folder(sample_run, name)), frame(f"{seed}/{name}_{SEED_ID}")
    assert list(ours.columns) == list(original.columns)
    assert list(ours.dtypes) == list(original.dtypes)
    vector, seed_vector = ours.iloc[0, 2], original.iloc[0, 2]
    if isinstance(seed_vector, dict):
        assert list(vector) == list(seed_vector)
        vector, seed_vector = vector["values"], seed_vector["values"]
    assert vector.dtype == seed_vector.dtype


@pytest.mark.parametrize(
    "name", ["features/csv/features", "pca/csv/pca", "metadata/metadata", "model_info/variance"]
)
def test_pandas_consumer_of_csv(seed, fruits_run, name):
    def frame(path):
        return pd.concat(pd.read_csv(part) for part in parts(path))

    ours, original = frame(folder(fruits_run, name)), frame(f"{seed}/{name}_{SEED_ID}")
    assert list(ours.columns) == list(original.columns)
    assert list(ours.dtypes) == list(original.dtypes)
    if "csv" in name:
        vector, seed_vector = (
            np.array(f.iloc[0, 2].split(","), dtype=float) for f in (ours, original)
        )
        assert vector.shape == seed_vector.shape


def test_json_consumer(seed, fruits_run):
    name = "model_info/model_info"
    texts = [pathlib.Path(p).read_text("utf-8") for p in parts(f"{seed}/{name}_{SEED_ID}")]
    original = json.loads("".join(texts))
    ours = read_json(fruits_run, name)
    assert len(original) == 8
    for key, value in original.items():
        assert type(ours[key]) is type(value), key
        if isinstance(value, list):
            assert len(ours[key]) == len(value) and isinstance(ours[key][0], float), key
    assert ours["timestamp"] == RUN_ID
    assert ours["pca_components"] == ours["reduced_dimensions"] == COMPONENTS
    assert ours["original_dimensions"] == DIMENSIONS
    assert ours["total_variance_explained"] == ours["cumulative_variance"][-1]


# The numbers, against the original's and scikit-learn's.


def test_features_are_the_originals(data, fruit_features):
    paths, _, features = fruit_features
    ours = {tuple(path.split("/")[-2:]): row for path, row in zip(paths, features, strict=True)}
    reference = pyarrow.parquet.read_table(data / "reference/braeburn_features.parquet")
    assert reference.num_rows == 246
    for path, expected in zip(
        reference["path"].to_pylist(),
        matrix(reference["features"].to_pylist(), np.float64),
        strict=True,
    ):
        row = ours[tuple(path.split("/")[-2:])].astype(np.float64)
        assert np.abs(row - expected).max() <= 1e-4, path
        cosine = row @ expected / (np.linalg.norm(row) * np.linalg.norm(expected))
        assert cosine >= 0.999999, path


def principal_components(features, components):
    """Components by the sign rule, eigenvalues and total variance, in float64."""
    covariance = np.cov(features.astype(np.float64), rowvar=False)
    eigenvalues, vectors = np.linalg.eigh(covariance)
    basis = with_sign_rule(vectors.T[::-1][:components])
    return basis, eigenvalues[::-1][:components], np.trace(covariance)


def with_sign_rule(components):
    largest = np.abs(components).argmax(axis=1)
    return components * np.sign(components[np.arange(len(components)), largest])[:, None]


def test_pca_is_numpys(fruits_run, fruit_features, fruit_pca):
    features = fruit_features[2].astype(np.float64)
    basis, eigenvalues, total = principal_components(features, COMPONENTS)
    model = read_pca_model(fruits_run)
    np.testing.assert_allclose(model["mean"], features.mean(axis=0), rtol=0, atol=1e-12)
    np.testing.assert_allclose(model["components"], basis, rtol=0, atol=1e-9)
    np.testing.assert_allclose(model["explained_variance"], eigenvalues, rtol=1e-10)
    np.testing.assert_allclose(model["explained_variance_ratio"], eigenvalues / total, rtol=1e-10)
    # float32 in the file: half a unit in the last place of values below 32.
    np.testing.assert_allclose(fruit_pca[2], features @ basis.T, rtol=0, atol=1e-6)


def test_largest_entry_of_each_component_is_positive(fruits_run):
    components = read_pca_model(fruits_run)["components"]
    largest = np.abs(components).argmax(axis=1)
    assert (components[np.arange(COMPONENTS), largest] > 0).all()


@pytest.mark.parametrize(
    "options", [[], ["--center"], ["--standardize"], ["--center", "--standardize"]]
)
def test_pca_is_scikit_learns(run, sample_tree, options):
    output = run(sample_tree, "--pca-components", "10", "--vectors", "spark", *options)
    _, _, x = read_parquet(output, "features/parquet/features", np.float64)
    _, _, projected = read_parquet(output, "pca/parquet/pca", np.float64)
    model = read_pca_model(output)
    if "--standardize" in options:
        scale = x.std(axis=0, ddof=1)
        scale[scale == 0] = 1
        np.testing.assert_allclose(model["scale"], scale, rtol=1e-10)
        x = x / scale
    pca = sklearn.decomposition.PCA(n_components=10, svd_solver="full").fit(x)
    pca.components_ = with_sign_rule(pca.components_)
    expected = pca.transform(x) if "--center" in options else x @ pca.components_.T
    np.testing.assert_allclose(model["components"], pca.components_, rtol=0, atol=1e-8)
    np.testing.assert_allclose(
        model["explained_variance_ratio"], pca.explained_variance_ratio_, rtol=1e-9
    )
    np.testing.assert_allclose(projected, expected, rtol=0, atol=1e-7)
