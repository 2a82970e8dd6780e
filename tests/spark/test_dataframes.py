"""What only Hadoop reaches goes through DataFrames; so do the functions for notebooks.

The features are the program's bit for bit, the numbers of the PCA but for their last bits.
"""

import csv
import json
import logging
import pathlib
import re
import shutil
import subprocess
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.fs
import pytest
import safetensors.numpy
from report_page import Page
from runs import COMPONENTS
from spark_submit import LOCAL, LOCAL_CLUSTER

pytest.importorskip("pomona", reason="the package is not installed")

from pomona import Moments, _spark_dataframes
from pomona import spark as ps
from pomona._hadoop import Files
from pomona._spark_listing import Selection
from pomona._spark_outputs import Outputs
from pyspark.ml.functions import array_to_vector
from pyspark.sql import functions as F


def job_of(spark, tree, output, **options):
    return _spark_dataframes.run(spark, str(tree), str(output), {"run_id": "test"} | options)


def parts(output, kind, files, name=None):
    folder = f"{output}/{kind}/{name or kind.split('/')[0]}_test"
    assert files.get_file_info(f"{folder}/_SUCCESS").type == pa.fs.FileType.File, folder
    selector = pa.fs.FileSelector(folder)
    return sorted(i.path for i in files.get_file_info(selector) if i.base_name.startswith("part-"))


def table(output, kind, files):
    found = parts(output, kind, files)
    return pa.dataset.dataset(found, filesystem=files, format="parquet").to_table()


def without_sizes(table):
    """Spark's own writer leaves no Arrow schema beside the lists."""
    fields = [
        field.with_type(pa.list_(field.type.value_field))
        if pa.types.is_fixed_size_list(field.type)
        else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))


def rows(output, kind, files, name=None):
    csv.field_size_limit(1 << 30)
    found = []
    for number, path in enumerate(parts(output, kind, files, name)):
        with files.open_input_stream(path) as stream:
            lines = list(csv.reader(stream.read().decode().splitlines(keepends=True)))
        found += lines if number == 0 else lines[1:]
    return found


def report(output, kind, files):
    (path,) = parts(output, kind, files)
    return json.loads(files.open_input_stream(path).read())


def model(output, files):
    (path,) = parts(output, "model_info", files, "pca_model")
    return safetensors.numpy.load(files.open_input_stream(path).read())


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("hidden", True),
        ("decode", "scaled"),
        ("stats", "basic"),
        ("memory", "1G"),
        ("metrics", "run.prom"),
        ("shard", "1/2"),
        ("engine", "openvino"),
        ("cpu", "scalar"),
        ("cache", "/tmp"),
        ("cache_size", "1G"),
        ("report", "plots"),
    ],
)
def test_what_cannot_be_had_is_refused(option, value, tmp_path):
    with pytest.raises(ValueError, match=f"--{option.replace('_', '-')} cannot be had here"):
        job_of(None, tmp_path / "in", tmp_path / "out", **{option: value})
    assert not (tmp_path / "out").exists()


def check(output, expected, files=None, old="", new=""):
    """The outputs are the program's, but for `old` at the start of paths, which became `new`."""
    local = pa.fs.LocalFileSystem()
    files = files or local

    def renamed(path):
        return new + path[len(old) :] if path.startswith(old) else path

    for kind in ("features/parquet", "pca/parquet"):
        ours, theirs = table(output, kind, files), without_sizes(table(expected, kind, local))
        assert ours.schema.remove_metadata() == theirs.schema.remove_metadata()
        assert ours["path"].to_pylist() == [renamed(path) for path in theirs["path"].to_pylist()]
        assert ours["label"].equals(theirs["label"])
        if kind == "features/parquet":
            assert ours["features"].combine_chunks().equals(theirs["features"].combine_chunks())
        else:
            found, wanted = (np.stack(t["pca_features"].to_numpy()) for t in (ours, theirs))
            np.testing.assert_allclose(found, wanted, rtol=2e-7, atol=1e-9)  # float32 in the files
    for kind in ("features/csv", "metadata", "errors"):
        ours, theirs = rows(output, kind, files), rows(expected, kind, local)
        assert ours == [[renamed(row[0]), *row[1:]] for row in theirs], kind
    assert [row[:2] for row in rows(output, "pca/csv", files)] == [
        [renamed(row[0]), row[1]] for row in rows(expected, "pca/csv", local)
    ]
    ours, theirs = model(output, files), model(expected, local)
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-9, atol=1e-9)
    ours, theirs = (
        report(*which) for which in ((output, "run_info", files), (expected, "run_info", local))
    )
    for key in ("counts", "rejects_by_reason", "skips_by_reason", "run_id", "engine"):
        assert ours[key] == theirs[key]
    ours, theirs = (
        report(*which) for which in ((output, "model_info", files), (expected, "model_info", local))
    )
    assert ours.keys() == theirs.keys()
    for key in ("weights", "preprocessing", "num_images_processed", "projection"):
        assert ours[key] == theirs[key]
    names = {info.base_name for info in files.get_file_info(pa.fs.FileSelector(str(output)))}
    assert names == {"features", "pca", "metadata", "model_info", "errors", "run_info"}


def test_job(spark_submit, job, tree, expected, tmp_path):
    """viewfs: stands for hdfs: and others: a file system of Hadoop, here over this machine's."""
    conf = {"spark.hadoop.fs.viewfs.mounttable.all.linkFallback": "file:///"}
    arguments = [f"viewfs://all{tree}", f"viewfs://all{tmp_path}/out", "full", COMPONENTS]
    printed = spark_submit(job, *arguments, "--run-id", "test", cluster=LOCAL, conf=conf)
    assert "only Hadoop reaches viewfs:" in printed
    for stage in ("list", "extract", "fit", "write"):
        assert re.search(rf"pomona: {stage}: [0-9.]+ s", printed), stage
    assert re.search(r"pomona: \d+ items, [0-9.]+ images/s", printed)
    assert "clientserver" not in printed
    check(tmp_path / "out", expected, old=str(tree), new=f"viewfs://all{tree}")


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "mini", "limit": 20},
        {"mode": "apples", "center": True},
        {"include": "*ple*", "exclude": "*/*7_100*", "standardize": True},
    ],
    ids=["mini", "apples", "globs"],
)
def test_selections(spark, run, tree, tmp_path, options):
    """In the session of the tests: faster than spark-submit."""
    given = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    given = [word.removesuffix("=True") for word in given]
    expected = run(tree, "--pca-components", str(COMPONENTS), *given)
    output = tmp_path / "out"
    job_of(spark, tree, output, pca_components=COMPONENTS, **options)
    check(output, expected)


def test_file_that_vanished(spark, pomona, sample_tree, tmp_path):
    """What Spark listed but cannot read is a row of the error table, no failed task. And the page
    of such a run has all.
    """
    tree = tmp_path / "tree"
    shutil.copytree(sample_tree, tree)
    victim = sorted(tree.rglob("*.jpg"))[5]

    class Vanishing(_spark_dataframes._Job):
        def count(self, listing):
            counted = super().count(listing)
            victim.unlink()
            return counted

    options = {"run_id": "test", "pca_components": COMPONENTS}
    Vanishing(spark, str(tree), str(tmp_path / "out"), options).run()
    files = pa.fs.LocalFileSystem()
    (row,) = rows(tmp_path / "out", "errors", files)[1:]
    assert row[:4] == [str(victim), victim.parent.name, "read", "unreadable"]
    counts = report(tmp_path / "out", "run_info", files)["counts"]
    assert (counts["listed"], counts["rows"], counts["rejects"]) == (120, 119, 1)

    page = tmp_path / "page.html"
    subprocess.run([pomona, "report", tmp_path / "out", "--output", page], check=True)
    page = Page(page)
    assert page.paths() == table(tmp_path / "out", "pca/parquet", files)["path"].to_pylist()
    assert str(victim) in str(page.sections["rejects"])


def test_file_that_could_not_be_read_for_a_moment(spark, sample, tmp_path):
    """Spark leaves it out without a word; it is tried once more."""
    tree, aside = sample(), tmp_path / "aside.jpg"
    victim = sorted(tree.rglob("*.jpg"))[5]

    class Passing(_spark_dataframes._Job):
        def count(self, listing):
            counted = super().count(listing)
            victim.rename(aside)
            return counted

        def read_again(self, files, extracted, *rest):
            assert extracted.count() == 11
            aside.rename(victim)
            return super().read_again(files, extracted, *rest)

    options = {"run_id": "test", "pca_components": 3}
    summary = Passing(spark, str(tree), str(tmp_path / "out"), options).run()
    assert (summary["listed"], summary["rows"], summary["rejects"]) == (12, 12, 0)
    paths = table(tmp_path / "out", "features/parquet", pa.fs.LocalFileSystem())["path"]
    assert str(victim) in paths.to_pylist()
    assert not (tmp_path / "out" / "_pomona").exists()


def test_large_files(spark, sample, tmp_path):
    """More than Spark can read, or than the executors' memory holds: as the program takes them."""
    tree = sample()
    odd = tree / "Training" / "Odd"
    odd.mkdir()
    for name, size in {"data set.zip": 2500, "holiday.mp4": 700, "huge.jpg": 1100}.items():
        with open(odd / name, "wb") as file:
            file.truncate(size << 20)
    with open(odd / "large.ppm", "wb") as file:
        file.write(b"P6 4000 3000 255\n")
        file.truncate(17 + 4000 * 3000 * 3)
    job_of(spark, tree, tmp_path / "out", pca_components=3)
    files = pa.fs.LocalFileSystem()
    counts = report(tmp_path / "out", "run_info", files)["counts"]
    assert (counts["rows"], counts["rejects"], counts["skips"]) == (13, 1, 2)
    message = f"{1100 << 20} bytes; the limit is {1 << 30}"
    assert rows(tmp_path / "out", "errors", files)[1:] == [
        [str(odd / "huge.jpg"), "Odd", "read", "too_large", message]
    ]

    # In a notebook, where no driver looks at the files first.
    (odd / "holiday.mp4").unlink()
    images = ps.extract_features(ps.read_images(spark, str(tree)))
    found = {row["path"]: row for row in images.where("verdict != 'ok'").collect()}
    for name in ("data set.zip", "huge.jpg"):
        row = found.pop(str(odd / name))
        assert (row["label"], row["stage"], row["reason"]) == ("Odd", "read", "too_large")


@pytest.mark.parametrize(
    ("folder", "options"),
    [("fold=1", {"mode": "apples"}), ("path=q", {"limit": 6})],
    ids=["apples", "limit"],
)
def test_folders_that_look_like_partitions(spark, run, sample, tmp_path, folder, options):
    tree = sample(36)
    label = tree / "Training" / "Apple Braeburn"
    images = list(label.iterdir())
    (label / folder).mkdir()
    for image in images:
        shutil.copy(image, label / folder)
    (arguments,) = ([f"--{name}", str(value)] for name, value in options.items())
    expected = run(tree, "--pca-components", "3", *arguments)
    job_of(spark, tree, tmp_path / "out", pca_components=3, **options)
    check(tmp_path / "out", expected)


def test_output_below_the_input(spark, sample):
    """The second run does not take the first one's files for input."""
    tree = sample()
    for run_id in ("one", "test"):
        output = tree / "Training/out"
        summary = job_of(spark, tree / "Training", output, run_id=run_id, pca_components=3)
        assert (summary["listed"], summary["rows"]) == (12, 12)


def test_output_that_holds_the_input(spark, sample):
    tree = sample()
    for output in (tree, tree / "Training"):
        with pytest.raises(
            ValueError, match=r"holds the folder that is read, .*name another OUTPUT"
        ):
            job_of(spark, tree / "Training", output)


def test_only_a_root_keeps_its_slash(spark):
    files = Files(spark)
    for given, qualified in (
        ("hdfs://localhost:1//", "hdfs://localhost:1/"),
        ("hdfs://localhost:1/a/", "hdfs://localhost:1/a"),
        ("file:///", "file:/"),
    ):
        assert files.qualified(given) == qualified


def test_runs_of_one_second_have_names_of_their_own():
    """As the program names them: the time, then with _2, _3, ... behind it."""

    asked = []

    class Published(Files):
        def __init__(self):
            pass

        def exists(self, folder):
            asked.append(folder)
            return len(asked) <= 2

    outputs = Outputs(None, Published(), "/out", "")
    assert re.fullmatch(r"\d{8}_\d{6}_3", outputs.run_id)
    now = outputs.run_id.removesuffix("_3")
    assert asked == [f"/out/run_info/run_info_{now}{end}" for end in ("", "_2", "_3")]
    assert Outputs(None, Published(), "/out", "mine").run_id == "mine"


def test_too_few_images_are_refused_before_the_work(spark, sample, tmp_path, caplog):
    tree = sample()
    output = tmp_path / "out"

    def refused(message, **options):
        with pytest.raises(ValueError, match=message):
            job_of(spark, tree, output, **options)

    refused("--shard cannot be had", shard="1/2")
    refused("hidden files", hidden=True)
    refused("1280 features has 1 to 1280 components, not 5000", pca_components=5000)
    refused("as many images as components: 12 files, 50 components")
    assert not output.exists()
    for number, image in enumerate(tree.rglob("*.jpg")):
        if number > 1:
            image.write_bytes(b"broken")
    few = r"2 of 12 images could be read \(\w+ 10; see the rejects in .*\): too few"
    caplog.set_level(logging.INFO, "pomona")
    for fresh, taken in ((False, 0), (False, 1), (True, 1)):
        refused(few, pca_components=3, fresh=fresh)
        assert caplog.text.count("features of an unfinished run are taken") == taken


@pytest.mark.parametrize("vectors", ["list", "binary"])
def test_rows_without_features(spark, sample, vectors):
    """fit_pca leaves them out, transform hands them on."""
    tree = sample()
    (tree / "Training" / "broken.jpg").write_bytes(b"broken")
    (tree / "Training" / "notes.txt").write_text("no image")
    features = ps.extract_features(ps.read_images(spark, str(tree)), vectors=vectors).persist()
    good = features.where("verdict = 'ok'")
    pca = ps.fit_pca(features, 3)
    assert pca.to_bytes() == ps.fit_pca(good, 3).to_bytes() and pca.n_samples_ == 12
    for layout in ("list", "spark"):
        projected = ps.transform(
            features.select("path", "verdict", "features"), pca, vectors=layout
        )
        ours = {row["path"]: row["pca_features"] for row in projected.collect()}
        theirs = {
            row["path"]: row["pca_features"]
            for row in ps.transform(good, pca, vectors=layout).collect()
        }
        assert len(ours) == 14 and len(theirs) == 12
        for path, vector in ours.items():
            assert vector is None if path not in theirs else (vector == theirs[path])
    nothing = ps.transform(features.where("verdict != 'ok'"), pca).collect()
    assert [row["pca_features"] for row in nothing] == [None, None]
    with pytest.raises(ValueError, match="no row has a vector in the column features"):
        ps.fit_pca(features.where("verdict != 'ok'"), 3)
    features.unpersist()


def test_moments_are_merged_16_at_a_time(spark):
    """In the order of the partitions, whichever came first; some have no row."""
    rows = np.random.default_rng(1).random((40, 6), "f4")
    groups = [Moments(6) for _ in range(3)]
    for part, row in enumerate(rows):
        if part % 7:
            groups[part // 16].merge(Moments(6).add([row]))
    parts = [(row.tolist() if part % 7 else None,) for part, row in enumerate(rows)]
    frame = spark.createDataFrame(spark.sparkContext.parallelize(parts, 40), "f array<float>")
    expected = groups[0].merge(groups[1]).merge(groups[2])
    assert ps.merged_moments(frame, "f").to_bytes() == expected.to_bytes()


def test_other_columns_stay_as_they_are(spark):
    """And vectors of MLlib's are as good as arrays."""
    rows = np.random.default_rng(1).random((8, 4), "f4").tolist()
    frame = spark.createDataFrame([*([row] for row in rows), [None]], "features array<float>")
    vector = F.when(F.col("features").isNotNull(), array_to_vector("features"))
    fields = [F.struct(F.lit(1).alias("a-b")).alias("s"), F.lit("x").alias("t`i.ck")]
    odd = frame.select(vector.alias("v"), *fields, "features")
    pca = ps.fit_pca(odd, 2)
    assert ps.fit_pca(odd, 2, features="v").to_bytes() == pca.to_bytes()
    projected = ps.transform(odd, pca, output="p.q", vectors="spark")
    assert projected.schema[:3] == odd.schema[:3]
    vectors = [tuple(row) for row in projected.select("v", "`p.q`").collect()]
    again = ps.transform(odd.select("v"), pca, features="v", vectors="spark").collect()
    assert [row[0] for row in again] == [projection for _, projection in vectors]
    assert [vector.toArray().tolist() for vector, _ in vectors[:-1]] == rows
    assert vectors[-1] == (None, None)
    with pytest.raises(ValueError, match="already: give another name as output="):
        ps.transform(odd, pca, output="T`I.CK")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda df, _: ps.fit_pca(df, 0), "k: at least 1, not 0"),
        (lambda df, _: ps.fit_pca(df, 5), "use k"),
        (lambda df, _: ps.fit_pca(df, 2, features="path"), "column path holds string, no feature"),
        (lambda df, pca: ps.transform(df, pca, features="path"), "column path holds string, no f"),
        (
            lambda df, pca: ps.transform(df, pca, features="Features"),
            "no column Features, but path",
        ),
        (
            lambda df, pca: ps.transform(df, pca, vectors="fixed"),
            "vectors: one of list, spark, not",
        ),
        (lambda df, pca: ps.transform(df.join(df, "path"), pca), "2 columns are called features"),
        (
            lambda df, _: ps.extract_features(df, vectors="spark"),
            "vectors: one of list, binary, not",
        ),
        (lambda df, _: ps.extract_features(df, weights=__file__), "test_dataframes.py"),
    ],
)
def test_mistakes_are_told_before_the_work(spark, call, message):
    rows = [(f"/a/{i}.jpg", [float(i), 1.0, float(i * i), 0.5]) for i in range(8)]
    frame = spark.createDataFrame(rows, "path string, features array<float>")
    pca = ps.fit_pca(frame, 2)
    with pytest.raises(ValueError, match=message):
        call(frame, pca)
    with pytest.raises(TypeError, match="k: an integer, not '2'"):
        ps.fit_pca(frame, "2")  # type: ignore[arg-type]


def test_columns_are_found_by_their_names(spark):
    """One with a dot, or a field of one, for fitting."""
    rows = np.random.default_rng(1).random((8, 4), "f4").tolist()
    frame = spark.createDataFrame([[row] for row in rows], "features array<float>")
    odd = frame.select(F.col("features").alias("a.b"), F.struct("features").alias("s"))
    expected = ps.fit_pca(frame, 2)
    for name in ("a.b", "s.features"):
        assert ps.fit_pca(odd, 2, features=name).to_bytes() == expected.to_bytes()
    dotted = ps.transform(odd, expected, features="a.b").select("pca_features").collect()
    assert dotted == ps.transform(frame, expected).collect()


def test_binary_vectors_that_are_cut(spark):
    frame = spark.createDataFrame([(b"123456789",)], "features binary")
    with pytest.raises(Exception, match="their lengths are multiples of 4 bytes"):
        ps.fit_pca(frame, 1)


def test_another_pomona_on_a_node():
    """Features of two kinds must not stand in one column."""
    here = ps._model(ps.Extractor(None, threads=1))
    batches = [pa.record_batch({"path": ["/a/b.jpg"], "content": [b"broken"]})]
    rest = {"weights": None, "keep": None, "as_bytes": False}
    assert len(list(ps._extract(iter(batches), model=here, **rest))) == 1
    for i in range(3):
        other = (*here[:i], "other", *here[i + 1 :])
        with pytest.raises(RuntimeError, match="install the same wheel on all"):
            list(ps._extract(iter(batches), model=other, **rest))


def test_large_types_of_arrow(spark):
    rows = np.random.default_rng(1).random((8, 4), "f4")
    named = [(f"/a/{number}.jpg", bytes(row)) for number, row in enumerate(rows)]
    frame = spark.createDataFrame(named, "path string, features binary")
    spark.conf.set("spark.sql.execution.arrow.useLargeVarTypes", True)
    try:
        pca = ps.fit_pca(frame, 2)
        found = ps.transform(ps.filtered(frame, Selection("/a", {}, False)), pca).collect()
    finally:
        spark.conf.unset("spark.sql.execution.arrow.useLargeVarTypes")
    np.testing.assert_array_equal(
        [row["pca_features"] for row in found], pca.transform(rows).astype("f4")
    )


def test_names_that_java_cannot_have(spark, tmp_path, monkeypatch):
    context = mock.MagicMock()
    context._jvm.java.lang.System.getProperty.return_value = "ANSI_X3.4-1968"
    monkeypatch.setattr(ps, "classic_context", lambda *_: context)
    with pytest.warns(UserWarning, match="set LC_ALL=C.UTF-8"):
        ps.read_images(spark, str(tmp_path))


def test_smaller_batches_stay(spark):
    """What the session asks for already is not made larger."""
    before = spark.conf.get(ps.BATCH_ROWS)
    frame = spark.createDataFrame([("/a/b.jpg", b"")], "path string, content binary")
    for given, kept in (("4", "4"), ("10000", "32"), ("0", "32"), ("-1", "32")):
        spark.conf.set(ps.BATCH_ROWS, given)
        ps.extract_features(frame)
        assert spark.conf.get(ps.BATCH_ROWS) == kept
    spark.conf.set(ps.BATCH_ROWS, before)


@pytest.mark.long
def test_driver_memory(spark_submit, tmp_path):
    """Twice the features that the driver's memory could hold, in parts whose moments an executor's
    could not; the executors are other processes.
    """
    rows = 200_000
    script = pathlib.Path(__file__).with_name("fit_job.py")
    printed = spark_submit(
        script, rows, tmp_path / "out", cluster=LOCAL_CLUSTER, conf={"spark.driver.memory": "512m"}
    )
    assert f"rows {rows} {rows}" in printed
    assert int(re.search(r"python MiB (\d+)", printed)[1]) < rows * 1280 * 4 / 2**20 / 2
