"""pomona.spark.near_pairs gives what pomona.near_pairs gives, bit for bit, whatever the blocks."""

import pathlib
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from runs import RUN_ID

pytest.importorskip("pomona", reason="the package is not installed")

from pomona import _spark_pairs, near_pairs
from pomona import spark as ps
from pyspark.ml.functions import array_to_vector
from pyspark.sql import functions as F


def expected(ids, rows, cosine):
    """Sorted; a before b as the ids are ordered."""
    pairs = near_pairs(rows, cosine).to_pylist()
    return sorted((*sorted((ids[p["a"]], ids[p["b"]])), p["cosine"]) for p in pairs)


def found(pairs):
    assert pairs.columns == ["a", "b", "cosine"]
    return sorted(map(tuple, pairs.collect()))


def frame_of(spark, ids, rows, kind="string"):
    """In several partitions, in another order."""
    named = [(ids[i], rows[i].tolist()) for i in np.random.default_rng(3).permutation(len(rows))]
    return spark.createDataFrame(
        spark.sparkContext.parallelize(named, 3), f"path {kind}, features array<float>"
    )


@pytest.fixture(scope="module", autouse=True)
def few_partitions(spark):
    """So that a task has several pairs of blocks."""
    spark.conf.set("spark.sql.shuffle.partitions", 3)
    yield
    spark.conf.unset("spark.sql.shuffle.partitions")


@pytest.fixture
def parts(monkeypatch):
    """parts(rows) has blocks hold so many; then parts.of_blocks says how they were divided."""

    parts = mock.Mock(
        side_effect=lambda rows: monkeypatch.setattr(_spark_pairs, "_BLOCK_ROWS", rows)
    )

    def spied(*args):
        pairs = made(*args)
        parts.of_blocks = pairs._parts.tolist()
        return pairs

    made = _spark_pairs.Pairs
    monkeypatch.setattr(_spark_pairs, "Pairs", spied)
    return parts


def clusters(count, width=24):
    """Groups of rows around random ones; every so many equal, scaled or zero."""
    random = np.random.default_rng(1)
    rows = np.repeat(random.normal(size=(count // 5, width)), 5, axis=0)
    rows += random.choice([0, 0.05, 0.2], (count, 1)) * random.normal(size=rows.shape)
    rows[6::31] = rows[5::31][: len(rows[6::31])]
    rows[7::37] *= 8
    rows[8::41] = 0
    return rows.astype(np.float32)


def circle(count):
    angles = np.arange(count) * 2 * np.pi / count
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


@pytest.mark.parametrize("cosine", [0.98, 0.9])
def test_fruits(spark, fruits_run, parts, cosine):
    folder = fruits_run / f"features/parquet/features_{RUN_ID}"
    table = pq.read_table(folder)
    parts(100)
    pairs = ps.near_pairs(spark.read.parquet(str(folder)), cosine)
    wanted = expected(table["path"].to_pylist(), table["features"], cosine)
    assert len(wanted) > 1000
    assert found(pairs) == wanted
    assert len(parts.of_blocks) >= 16


@pytest.mark.parametrize("kind", ["clusters", "circle"])
def test_rows_at_the_threshold(spark, parts, kind):
    """And equal ones, scaled ones, zeros; on a circle, where rows are as far from the next block's
    box as from its first row. Ids are numbers.
    """
    rows = clusters(400) if kind == "clusters" else circle(400)
    ids = [int(i) for i in np.random.default_rng(2).permutation(len(rows)) * 7 - 900]
    frame = frame_of(spark, ids, rows, "int").persist()
    parts(30)
    cosines = sorted(row[2] for row in expected(ids, rows, 0.95) if row[2] <= 1)
    for cosine in (cosines[0], cosines[len(cosines) // 3], cosines[-1]):
        wanted = expected(ids, rows, cosine)
        assert wanted and min(row[2] for row in wanted) == cosine
        assert found(ps.near_pairs(frame, cosine)) == wanted
        assert len(parts.of_blocks) >= 8 and max(parts.of_blocks) == 1
    frame.unpersist()


def test_many_copies_of_one_picture(spark, parts):
    """Nothing can cut them apart: they are divided by their ids."""
    rows = clusters(250)
    rows[50:200] = rows[50]
    ids = [f"/a/{i}.jpg" for i in range(len(rows))]
    parts(16)
    assert found(ps.near_pairs(frame_of(spark, ids, rows), 0.97)) == expected(ids, rows, 0.97)
    assert len(parts.of_blocks) > 3 and max(parts.of_blocks) >= 150 // 32


def test_a_block_that_the_sample_shows_too_small(spark, parts, monkeypatch):
    rows = clusters(300)
    ids = [f"/a/{i}.jpg" for i in range(len(rows))]
    monkeypatch.setattr(_spark_pairs, "SAMPLE_ROWS", 40)
    parts(10)
    assert found(ps.near_pairs(frame_of(spark, ids, rows), 0.9)) == expected(ids, rows, 0.9)
    assert max(parts.of_blocks) > 1


def test_every_form_of_vectors(spark):
    rows = clusters(60)
    ids = [f"/a/{i}.jpg" for i in range(len(rows))]
    wanted = expected(ids, rows, 0.9)
    assert wanted
    frame = frame_of(spark, ids, rows)
    rejects = spark.createDataFrame([("/b.jpg", None)], frame.schema)
    all_of_them = frame.union(rejects).union(frame.limit(0))
    doubles = F.col("features").cast("array<double>")
    vector = F.when(F.col("features").isNotNull(), array_to_vector("features"))
    for column in (doubles, vector):
        odd = all_of_them.select(F.col("path").alias("i.d"), column.alias("f`s"))
        assert found(ps.near_pairs(odd, 0.9, id="i.d", features="f`s")) == wanted
    nested = all_of_them.select(F.struct("path", "features").alias("s"))
    assert found(ps.near_pairs(nested, 0.9, id="s.path", features="s.features")) == wanted
    packed = spark.createDataFrame(
        [(name, bytes(row)) for name, row in zip(ids, rows, strict=True)],
        "path string, features binary",
    )
    assert found(ps.near_pairs(packed, 0.9)) == wanted
    spark.conf.set("spark.sql.execution.arrow.useLargeVarTypes", True)
    try:
        assert found(ps.near_pairs(packed, 0.9)) == wanted
    finally:
        spark.conf.unset("spark.sql.execution.arrow.useLargeVarTypes")


def test_few_rows(spark):
    frame = spark.createDataFrame(
        [("a", [1.0, 2.0]), ("b", None), ("c", [2.0, 4.0]), ("d", [0.0, 0.0]), ("e", [0.0, 0.0])],
        "path string, features array<float>",
    )
    assert found(ps.near_pairs(frame, 1.0)) == [("a", "c", 1.0)]
    for rows in ("path = 'a'", "path <= 'b'", "path = 'b'", "path > 'c'", "path > 'e'"):
        assert found(ps.near_pairs(frame.where(rows), 0.5)) == []


@pytest.mark.parametrize(
    ("changed", "options", "message"),
    [
        ("path", {"id": "label"}, "8 rows have 2 ids in the column label: each needs one of its o"),
        ("path = nullif(path, '/a/3.jpg')", {}, "8 rows have 7 ids in the column path"),
        ("features = path", {}, "the column features holds string, no feature vectors"),
        ("features = if(label = '1', array(1f), features)", {}, "the vectors differ in length"),
        ("features = transform(features, x -> x * 1e39D)", {}, "row '/a/[0-7].jpg' holds NaN"),
        ("features = transform(features, x -> float('NaN'))", {}, "row '/a/[0-7].jpg' holds NaN"),
        ("features = slice(features, 1, 0)", {}, "the vectors hold no numbers"),
        ("path", {"cosine": 0}, "cosine: above 0 and up to 1, not 0"),
        ("path", {"cosine": float("nan")}, "cosine: above 0 and up to 1, not nan"),
    ],
)
def test_mistakes_are_told(spark, changed, options, message):
    rows = [(f"/a/{i}.jpg", str(i % 2), [float(i), 1.0, float(i * i), 0.5]) for i in range(8)]
    frame = spark.createDataFrame(rows, "path string, label string, features array<float>")
    column, _, value = changed.partition(" = ")
    frame = frame.withColumn(column, F.expr(value or column))
    with pytest.raises(Exception, match=message):
        ps.near_pairs(frame, **{"cosine": 0.9} | options)


def test_a_row_at_a_cut_is_in_the_boxes_of_both():
    """To which of them it goes may be another in the next pass: a CPU has other last bits."""
    rows = clusters(400)
    cuts = _spark_pairs.Cuts([bytes(row) for row in rows], 20 * _spark_pairs._BLOCK_ROWS)
    assert cuts.blocks > 8
    kept, vectors = cuts.short(rows)
    at_cut = vectors[100]
    dimension, _, below, above = cuts._root
    cuts._root = (dimension, at_cut[dimension] + 1e-9, below, above)
    (block,) = [block for block, members in cuts.assigned(vectors) if 100 in members]
    cuts._root = (dimension, at_cut[dimension] - 1e-9, below, above)
    (other,) = [block for block, members in cuts.assigned(vectors) if 100 in members]
    assert block != other

    ids = pa.array(range(len(rows)))
    batch = pa.record_batch({"id": ids, "vector": pa.array(rows.tolist())})
    (found,) = _spark_pairs.boxes(iter([batch]), cuts)
    boxes = dict(map(_spark_pairs.box_of, found.to_pylist()))
    for which in (block, other):
        _, least, most = boxes[which]
        assert (least <= at_cut).all() and (at_cut <= most).all()
    assert len(kept) < sum(count for count, *_ in boxes.values()) < len(kept) + 10


@pytest.mark.parametrize("spark_submit", ["spark3", "spark4"], indirect=True)
def test_as_a_job(fruits_run, spark_submit, tmp_path):
    """In both PySparks, by tasks side by side."""
    folder = fruits_run / f"features/parquet/features_{RUN_ID}"
    job = pathlib.Path(__file__).with_name("near_pairs_job.py")
    spark_submit(job, folder, tmp_path / "pairs")
    table = pq.read_table(folder)
    pairs = pq.read_table(tmp_path / "pairs")
    columns = [("a", pa.string()), ("b", pa.string()), ("cosine", pa.float64())]
    assert [(field.name, field.type) for field in pairs.schema] == columns
    wanted = expected(table["path"].to_pylist(), table["features"], 0.98)
    assert sorted(tuple(row.values()) for row in pairs.to_pylist()) == wanted
