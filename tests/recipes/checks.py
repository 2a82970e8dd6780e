"""Runs one recipe of docs/recipes.md as it stands, and checks what it gave: `checks.py TITLE`, in a
folder that holds `out`, by a Python that has the packages it takes."""

import pathlib
import re
import sys

import numpy as np
import pyarrow.parquet as pq

PAGE = pathlib.Path(__file__).parents[2] / "docs/recipes.md"


def recipes():
    """The code of each recipe by its title."""
    sections = re.split(r"^### ", PAGE.read_text(encoding="utf-8"), flags=re.M)[1:]
    blocks = {
        section.split("\n", 1)[0]: re.findall(r"```python\n(.*?)```", section, re.S)
        for section in sections
    }
    assert all(len(code) == 1 for code in blocks.values()), blocks.keys()
    return {title: code[0] for title, code in blocks.items()}


class Expected:
    """The features as pyarrow reads them."""

    def __init__(self):
        table = pq.read_table("out/features/parquet/features_demo")
        self.paths = table["path"].to_pylist()
        self.labels = table["label"].to_pylist()
        self.vectors = np.array(table["features"].to_pylist(), "float32")
        assert self.vectors.shape == (len(self.paths), 1280)
        self.units = self.vectors / np.linalg.norm(self.vectors, axis=1, keepdims=True)
        self.cosines = dict(zip(self.paths, self.units @ self.units[0], strict=True))

    def same(self, vectors):
        """These are all vectors, in the order of their paths, bit for bit."""
        assert np.array_equal(np.asarray(vectors, "float32"), self.vectors)

    def are_nearest(self, paths):
        """Five of the nearest to the first image, it before all others."""
        assert len(set(paths)) == len(paths) == 5
        best = sorted(self.cosines.values())[-5:]
        assert np.allclose(sorted(self.cosines[path] for path in paths), best, rtol=0, atol=1e-5)
        assert self.cosines[paths[0]] > 1 - 1e-5


def lancedb(seen, expected):
    table = seen["table"].to_arrow().sort_by("path")
    expected.same(table["features"].to_pylist())
    expected.are_nearest(seen["found"]["path"].to_pylist())


def faiss(seen, expected):
    index = seen["index"]
    stored = index.reconstruct_n(0, index.ntotal)
    assert stored.shape == expected.vectors.shape
    assert np.allclose(stored, expected.units, rtol=0, atol=1e-6)
    expected.are_nearest(seen["found"].to_pylist())


def usearch(seen, expected):
    expected.same(seen["index"].get(np.arange(len(expected.paths))))
    expected.are_nearest(seen["found"].to_pylist())


def qdrant(seen, expected):
    client = seen["client"]
    assert client.count("images").count == len(expected.paths)
    points = client.scroll("images", limit=len(expected.paths), with_vectors=True)[0]
    points.sort(key=lambda point: point.id)
    assert [point.payload["path"] for point in points] == expected.paths
    assert np.allclose([point.vector for point in points], expected.units, rtol=0, atol=1e-6)
    expected.are_nearest([point.payload["path"] for point in seen["found"]])


def sql(seen, expected):
    expected.are_nearest(seen["found"]["path"].to_pylist())


def datasets(seen, expected):
    assert seen["features"]["path"][:] == expected.paths
    expected.same(seen["vectors"])


def mllib(seen, expected):
    rows = seen["predictions"].select("path", "features", "number", "prediction").collect()
    rows.sort(key=lambda row: row.path.encode())
    assert [row.path for row in rows] == expected.paths
    pca = pq.read_table("out/pca/parquet/pca_demo")["pca_features"].to_pylist()
    assert np.array_equal([row.features.toArray() for row in rows], pca)
    right = np.mean([row.number == row.prediction for row in rows])
    assert right > 0.9, right
    seen["spark"].stop()


CHECKS = {
    "LanceDB": lancedb,
    "FAISS": faiss,
    "usearch": usearch,
    "Qdrant": qdrant,
    "DuckDB": sql,
    "Hugging Face datasets": datasets,
    "Spark MLlib": mllib,
}


def main(title):
    seen = {"__name__": "recipe"}
    exec(compile(recipes()[title], f"{PAGE.name}: {title}", "exec"), seen)
    CHECKS[title](seen, Expected())


if __name__ == "__main__":
    main(*sys.argv[1:])
