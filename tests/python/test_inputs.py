"""What libraries hold images and features in: the same rows, or a message that names the cure."""

import random

import datasets
import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from PIL import Image

pomona = pytest.importorskip("pomona", reason="the package is not installed")


@pytest.fixture(scope="module")
def paths(paths):
    return paths[:4]


@pytest.fixture(scope="module")
def features(extractor, paths):
    return extractor.extract(paths)["features"].combine_chunks()


def texts(paths):
    return [str(path) for path in paths]


def contents(paths):
    return [path.read_bytes() for path in paths]


def pictures(paths):
    return [Image.open(path) for path in paths]


IMAGES = {
    "pandas of Path": pd.Series,
    "pandas of str": lambda paths: pd.Series(texts(paths)),
    "pandas of bytes": lambda paths: pd.Series(contents(paths)),
    "pandas category": lambda paths: pd.Series(texts(paths), dtype="category"),
    "pandas of pixels": lambda paths: pd.Series([np.asarray(p) for p in pictures(paths)]),
    "pandas of Pillow": lambda paths: pd.Series(pictures(paths)),
    "numpy of Path": lambda paths: np.array(paths, dtype=object),
    "numpy of str": lambda paths: np.array(texts(paths)),
    "polars": lambda paths: pl.Series(texts(paths)),
    "polars of bytes": lambda paths: pl.Series(contents(paths)),
    "polars categorical": lambda paths: pl.Series(texts(paths), dtype=pl.Categorical),
    "dictionary": lambda paths: pa.array(texts(paths)).dictionary_encode(),
    "dictionary of bytes": lambda paths: pa.array(contents(paths)).dictionary_encode(),
    "dictionary in chunks": lambda paths: pa.chunked_array(
        [
            pa.array(texts(paths)[:1]).dictionary_encode(),
            pa.array(texts(paths)[1:]).dictionary_encode(),
        ]
    ),
    "run ends": lambda paths: pa.RunEndEncodedArray.from_arrays([1, 2, 3, 4], texts(paths)),
    "datasets": lambda paths: datasets.Dataset.from_dict({"path": texts(paths)})["path"],
    "Pillow": pictures,
    "a batch of pixels": lambda paths: np.stack([np.asarray(p) for p in pictures(paths)]),
}


@pytest.mark.parametrize("kind", IMAGES)
def test_images(kind, extractor, paths, features):
    table = extractor.extract(IMAGES[kind](paths), paths=pd.Series(texts(paths)))
    assert table["path"].to_pylist() == texts(paths)
    assert table["features"].combine_chunks().equals(features)


def test_pillow_images_of_any_mode(extractor, paths):
    rgb = Image.open(paths[0])
    for mode in ("1", "L", "P", "RGBA", "CMYK", "YCbCr", "HSV", "I", "F"):
        image = rgb.convert("RGB").convert(mode)
        given, plain = extractor.extract([image, np.asarray(image.convert("RGB"))])["features"]
        assert given == plain, mode


def view(kind, rows):
    """A view of lists, whose values need not be in their order."""
    offsets = [1280 * i for i in reversed(range(len(rows)))]
    return kind.from_arrays(offsets, [1280] * len(rows), pa.array(rows[::-1].ravel()))


ROWS = {
    "list": lambda rows, vectors: vectors,
    "large list": lambda rows, vectors: vectors.cast(pa.large_list(pa.float32())),
    "list view": lambda rows, vectors: view(pa.ListViewArray, rows),
    "large list view": lambda rows, vectors: view(pa.LargeListViewArray, rows),
    "chunks of list view": lambda rows, vectors: pa.chunked_array(
        [view(pa.ListViewArray, rows[:2]), view(pa.ListViewArray, rows[2:])]
    ),
    "fixed size": lambda rows, vectors: pa.FixedSizeListArray.from_arrays(rows.ravel(), 1280),
    "tensors": lambda rows, vectors: pa.FixedShapeTensorArray.from_numpy_ndarray(rows),
    "float64": lambda rows, vectors: vectors.cast(pa.list_(pa.float64())),
    "Fortran": lambda rows, vectors: np.asfortranarray(rows),
    "float64 matrix": lambda rows, vectors: rows.astype(np.float64),
    "reversed twice": lambda rows, vectors: rows[::-1].copy()[::-1],
    "list of arrays": lambda rows, vectors: list(rows),
    "list of lists": lambda rows, vectors: rows.tolist(),
    "pandas of arrays": lambda rows, vectors: pd.Series(list(rows)),
    "polars": lambda rows, vectors: pl.from_arrow(vectors),
    "datasets": lambda rows, vectors: datasets.Dataset.from_dict({"x": rows.tolist()})["x"],
    "datasets in numpy": lambda rows, vectors: datasets.Dataset.from_dict(
        {"x": rows.tolist()}
    ).with_format("numpy")["x"],
}


@pytest.mark.parametrize("kind", ROWS)
def test_rows(kind, features):
    rows = np.stack(features.to_numpy(zero_copy_only=False))
    plain = pomona.PCA(2, center=True).fit(rows)
    given = ROWS[kind](rows, features)
    pca = pomona.PCA(2, center=True).fit(given)
    # Chunks are added one by one: other groups, another rounding.
    tolerance = 1e-12 if "chunks" in kind else 0
    np.testing.assert_allclose(pca.components_, plain.components_, rtol=0, atol=tolerance)
    projected = pca.transform(given)
    if isinstance(projected, (pa.Array, pa.ChunkedArray)):
        projected = np.stack(projected.to_numpy(zero_copy_only=False))
    np.testing.assert_allclose(projected, plain.transform(rows), rtol=0, atol=30 * tolerance)
    assert pomona.Moments(1280).add(given).count == len(rows)


@pytest.mark.parametrize("kind", [pa.list_(pa.float16()), pa.list_(pa.int8())])
def test_rows_of_less_precision(kind):
    rows = np.arange(12).reshape(4, 3) % 5
    given = pa.array(rows.tolist(), pa.list_(pa.float32())).cast(kind)
    assert pomona.Moments(3).add(given).to_bytes() == pomona.Moments(3).add(rows).to_bytes()


VECTORS = [
    pa.list_(pa.float32()),
    pa.large_list(pa.float64()),
    pa.list_(pa.float32(), 4),
    pa.list_(pa.float16()),
    pa.list_view(pa.float32()),
    pa.large_list_view(pa.float32()),
    pa.fixed_shape_tensor(pa.float32(), [4]),
    pa.dictionary(pa.int32(), pa.list_(pa.float32())),
    pa.run_end_encoded(pa.int32(), pa.list_(pa.float32())),
]


@pytest.mark.parametrize("kind", [*VECTORS, None], ids=str)
def test_no_rows_give_no_rows(kind):
    given = pa.chunked_array([], kind) if kind else []
    pca = pomona.PCA(2).fit(np.eye(5, 4))
    assert len(pca.transform(given)) == 0
    assert pca.inverse_transform(given).shape == (0, 4)
    assert pomona.Moments(4).add(given).count == 0
    assert pomona.near_pairs(given, 0.9).num_rows == 0


NAMES = [
    pa.string_view(),
    pa.dictionary(pa.int32(), pa.string()),
    pa.dictionary(pa.int32(), pa.string_view()),
    pa.dictionary(pa.int32(), pa.large_binary()),
    pa.run_end_encoded(pa.int32(), pa.string()),
]


@pytest.mark.parametrize("kind", NAMES, ids=str)
def test_no_images_give_no_rows(kind, extractor):
    given = pa.chunked_array([], kind)
    assert extractor.extract(given, paths=given).num_rows == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39])
def test_a_row_that_is_not_finite_is_named(value):
    rows = np.arange(28.0).reshape(7, 4) % 5
    pca = pomona.PCA(2).fit(rows)
    rows[5, 2] = value
    lists = pa.array(rows.tolist(), pa.list_(pa.float64()))
    moments = pomona.Moments(4)
    of_pca = [pomona.PCA(2).fit, pca.transform]
    all_of_them = [*of_pca, moments.add, lambda some: pomona.near_pairs(some, 0.9)]
    for given, calls in [
        (rows, all_of_them),
        (rows.tolist(), all_of_them),
        (pd.DataFrame(rows), of_pca),
        (lists, all_of_them),
        (lists.cast(pa.large_list(pa.float32()), safe=False), all_of_them),
        (pa.chunked_array([lists[:3], lists[3:5], lists[5:]]), all_of_them),
    ]:
        for call in calls:
            with pytest.raises(ValueError, match="row 5 holds NaN, an infinity or a number beyond"):
                call(given)
    assert moments.count == 0


def test_more_rows_than_a_list_array_holds():
    pca = pomona.PCA(64).fit(np.random.default_rng(1).normal(size=(100, 64)))
    rows = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(2**22, np.float32)), 64)
    many = pa.chunked_array([rows] * 512)  # 2 ** 31 numbers, all in the same place
    with pytest.raises(ValueError, match=r"33554432 rows at once: at most 33554431 .* in pieces"):
        pca.transform(many)


def test_what_is_no_column_is_told(features):
    held = pa.table({"path": ["x"] * len(features), "features": features})
    for given in (held, held.to_pandas(), pl.from_arrow(held), duckdb.sql("FROM held")):
        with pytest.raises(TypeError, match=r"one of its columns \(path, features\)"):
            pomona.PCA(2).fit(given)
    for given in ([1, 2], [[1, 2], [3]], "rows", 7, [["a"]]):
        with pytest.raises(TypeError, match="rows: "):
            pomona.PCA(1).fit(given)
    for given in ([None, [1.0]], pa.array([None, [1.0]])):
        with pytest.raises(ValueError, match="verdict"):
            pomona.PCA(1).fit(given)


def random_view(picture, choose):
    """The same pixels as a view of something larger, flipped, transposed or spread out."""
    picture = np.ascontiguousarray(picture)
    for _ in range(choose.randint(1, 4)):
        way = choose.randrange(5)
        if way == 0:  # flipped along an axis, in memory
            axis = choose.randrange(3)
            picture = np.flip(np.flip(picture, axis).copy(), axis)
        elif way == 1:  # axes in another order, in memory
            order = choose.sample(range(3), 3)
            picture = picture.transpose(order).copy().transpose(np.argsort(order))
        elif way == 2:  # every n-th of more
            axis, step = choose.randrange(3), choose.randint(2, 3)
            spread = np.repeat(picture, step, axis)
            picture = spread[
                tuple(slice(None, None, step if i == axis else None) for i in range(3))
            ]
        elif way == 3:  # a window
            padded = np.pad(picture, [(1, 2), (3, 1), (2, 2)])
            picture = padded[1:-2, 3:-1, 2:-2]
        else:
            picture = picture.view()
            picture.flags.writeable = False
    return picture


@pytest.mark.parametrize("rounds", [20, pytest.param(2000, marks=pytest.mark.long)])
def test_views(rounds, extractor, paths):
    choose = random.Random(rounds)
    pixels = [np.asarray(picture.convert("RGB")) for picture in pictures(paths)]
    plain = extractor.extract(pixels)["features"].to_pylist()
    for seed in range(rounds):
        which = choose.randrange(len(pixels))
        view = random_view(pixels[which], choose)
        assert np.array_equal(view, pixels[which])
        assert extractor.extract([view])["features"][0].as_py() == plain[which], seed
