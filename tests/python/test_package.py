"""The package: its numbers against the program's and other libraries', its manners."""

import inspect
import io
import json
import pathlib
import pickle
import re
import subprocess
import sys
import threading
import time
import typing

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
import sklearn.decomposition
from PIL import Image

pomona = pytest.importorskip("pomona", reason="the package is not installed")

from pomona import _core, _options  # noqa: E402


@pytest.fixture(scope="module")
def table(extractor, paths):
    return extractor.extract(paths)


def matrix(vectors):
    return np.stack(vectors.to_numpy(zero_copy_only=False))


def test_features_are_the_programs(table, sample_run):
    run = pa.parquet.read_table(sample_run / "features/parquet/features_test")
    extracted = table.select(["path", "label", "features"])
    assert extracted.equals(run.replace_schema_metadata().cast(extracted.schema))
    assert set(table["verdict"].to_pylist()) == {"ok"}


def test_every_way_to_give_an_image(extractor, table, paths):
    paths, features = paths[:4], table["features"][:4].combine_chunks()
    contents = [path.read_bytes() for path in paths]
    pixels = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    ways = {
        "str": [str(path) for path in paths],
        "bytes": contents,
        "bytearray": [bytearray(content) for content in contents],
        "memoryview": [memoryview(content) for content in contents],
        "pixels": pixels,
        "strided pixels": [np.asfortranarray(picture) for picture in pixels],
        "a mix": [paths[0], contents[1], pixels[2], str(paths[3])],
        "binary": pa.array(contents),
        "large binary": pa.array(contents, pa.large_binary()),
        "binary view": pa.array(contents, pa.binary_view()),
        "chunks": pa.chunked_array([contents[:1], contents[1:]]),
        "a slice": pa.array([b"", *contents])[1:],
        "paths in Arrow": pa.array([str(path) for path in paths]),
        "a generator": (path for path in paths),
    }
    for way, images in ways.items():
        assert extractor.extract(images)["features"].combine_chunks().equals(features), way


def test_names_and_labels(extractor, paths):
    content = paths[0].read_bytes()
    names = ["/data/a/1.jpg", "/data/2.jpg", "s3://bucket/b/3.jpg"]
    table = extractor.extract([content] * 3, paths=names)
    assert table["path"].to_pylist() == names
    assert table["label"].to_pylist() == ["a", "data", "b"]
    unnamed = extractor.extract([content])
    assert unnamed["path"].to_pylist() == unnamed["label"].to_pylist() == [None]
    with pytest.raises(ValueError, match="1 paths for 2 images"):
        extractor.extract([content] * 2, paths=names[:1])


def test_a_bad_image_is_a_row(extractor, paths, tmp_path):
    content = paths[0].read_bytes()
    (tmp_path / "notes.txt").write_text("no image")
    images = [
        b"",
        b"no image",
        content[:500],
        tmp_path / "none.jpg",
        tmp_path / "notes.txt",
        content,
    ]
    table = extractor.extract(images)
    assert table["verdict"].to_pylist() == ["reject"] * 4 + ["skip", "ok"]
    assert table["reason"].to_pylist() == [
        "empty",
        "corrupt",
        "truncated",
        "missing",
        "not_an_image",
        None,
    ]
    assert table["stage"].to_pylist() == ["decode"] * 3 + ["read", None, None]
    assert table["features"].is_null().to_pylist() == [True] * 5 + [False]
    assert len(extractor.extract([])) == 0


def test_a_bad_pillow_image_is_a_row(extractor, paths):
    content = paths[0].read_bytes()
    images = [
        Image.open(io.BytesIO(content[:900])),
        Image.new("RGB", (0, 5)),
        Image.open(io.BytesIO(content)),
    ]
    table = extractor.extract(images)
    assert table["verdict"].to_pylist() == ["reject", "reject", "ok"]
    assert table["reason"].to_pylist() == ["truncated", "empty", None]


@pytest.mark.parametrize(
    "images",
    [[3], [np.zeros((4, 4))], [np.zeros((4, 4), np.uint8)], pa.array([1]), pa.array([["x"]]), 3],
)
def test_what_is_no_image_is_a_type_error(extractor, images):
    with pytest.raises(TypeError):
        extractor.extract(images)


def test_weights(extractor, tmp_path):
    default = pathlib.Path(pomona.__file__).with_name("mobilenet_v2_imagenet.safetensors")
    digest = "c009b1f1262c1f55420ed4f95d0f338acb97548930c6f6c8f3383b79544088a8"
    assert extractor.weights_digest == digest
    assert pomona.Extractor(default, threads=1).weights_digest == digest
    assert pomona.Extractor(default.read_bytes(), threads=1).weights_digest == digest
    with pytest.raises(OSError, match=r"none\.safetensors"):
        pomona.Extractor(tmp_path / "none.safetensors")
    with pytest.raises(ValueError, match="weights"):
        pomona.Extractor(b"no weights at all")


def test_pca_is_scikit_learns(table):
    rows = matrix(table["features"])
    ours = pomona.PCA(10, center=True).fit(rows)
    theirs = sklearn.decomposition.PCA(10, svd_solver="full").fit(rows.astype(np.float64))
    sign = np.sign((ours.components_ * theirs.components_).sum(axis=1))
    np.testing.assert_allclose(ours.mean_, theirs.mean_, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(ours.explained_variance_, theirs.explained_variance_, rtol=1e-9)
    np.testing.assert_allclose(
        ours.explained_variance_ratio_, theirs.explained_variance_ratio_, rtol=1e-9
    )
    np.testing.assert_allclose(
        ours.transform(rows), theirs.transform(rows.astype(np.float64)) * sign, atol=1e-9
    )
    assert ours.n_components_ == 10
    assert ours.n_features_in_ == 1280
    assert ours.n_samples_ == len(rows)


def test_pca_takes_and_gives_arrow(table):
    pca = pomona.PCA(5).fit(table["features"])
    projected = pca.transform(table["features"])
    assert projected.type == pa.list_(pa.field("element", pa.float64()))
    np.testing.assert_array_equal(matrix(projected), pca.transform(matrix(table["features"])))
    fixed = pa.FixedSizeListArray.from_arrays(matrix(table["features"]).ravel(), 1280)
    assert pca.transform(fixed[3:7]).equals(projected[3:7])


def test_pca_survives_files_and_pickle(table, tmp_path):
    pca = pomona.PCA(5, standardize=True).fit(table["features"])
    pca.save(tmp_path / "pca.safetensors")
    expected = pca.transform(table["features"])
    for copy in (
        pomona.PCA.load(tmp_path / "pca.safetensors"),
        pomona.PCA.from_bytes(pca.to_bytes()),
        pickle.loads(pickle.dumps(pca)),
    ):
        assert copy.transform(table["features"]).equals(expected)
    assert (tmp_path / "pca.safetensors").read_bytes() == pca.to_bytes()


def test_pca_errors(table):
    with pytest.raises(AttributeError, match="fit"):
        _ = pomona.PCA(5).mean_
    with pytest.raises(ValueError, match="images"):
        pomona.PCA(50).fit(table["features"][:10])
    pca = pomona.PCA(5).fit(table["features"])
    with pytest.raises(ValueError, match="expecting 1280"):
        pca.transform(np.zeros((1, 3), np.float32))
    with pytest.raises(ValueError, match="null"):
        pca.transform(pa.array([None], pa.list_(pa.float32())))
    with pytest.raises(TypeError):
        pca.transform("rows")


def test_moments_merge(table):
    rows = matrix(table["features"]).astype(np.float64)
    parts = [
        pomona.Moments(1280).add(table["features"][start : start + 50]) for start in (0, 50, 100)
    ]
    merged = pomona.Moments(1280)
    for part in parts:
        merged.merge(pickle.loads(pickle.dumps(part)))
    assert merged.count == len(rows)
    np.testing.assert_allclose(merged.mean, rows.mean(axis=0), rtol=1e-12)
    variance = pomona.PCA(3).fit(merged).explained_variance_
    eigenvalues = np.linalg.eigvalsh(np.cov(rows, rowvar=False))[::-1]
    np.testing.assert_allclose(variance, eigenvalues[:3], rtol=1e-9)
    assert pomona.Moments.from_bytes(merged.to_bytes()).to_bytes() == merged.to_bytes()
    with pytest.raises(ValueError, match="different numbers of features"):
        pomona.Moments(10).merge(merged)
    with pytest.raises(ValueError, match="n_features"):
        pomona.Moments(-1)


def test_run_is_the_program(sample_tree, sample_run, tmp_path):
    heard = []
    summary = pomona.run(
        sample_tree,
        tmp_path,
        run_id="test",
        pca_components=10,
        vectors="spark",
        progress=lambda stage, done, total: heard.append((stage, done, total)),
    )
    assert (summary.run_id, summary.rows, summary.rejects) == ("test", 120, 0)
    for path in sorted(sample_run.rglob("part-*")):
        relative = path.relative_to(sample_run)
        if path.parent.name == "model_info_test":  # the program may have OpenVINO besides
            infos = [json.loads((run / relative).read_text()) for run in (tmp_path, sample_run)]
            assert infos[0].pop("versions").items() <= infos[1].pop("versions").items()
            assert infos[0] == infos[1]
        elif path.parent.name != "run_info_test":
            assert (tmp_path / relative).read_bytes() == path.read_bytes(), relative
    assert ("extract", 120, 120) in heard
    # It prints as the program's two lines.
    lines = repr(summary).splitlines()
    assert re.fullmatch(
        r"run test: 120 images in [\d.]+ s \(\d+ images/s\),"
        r" 10 components explain [\d.]+ % of the variance",
        lines[0],
    )
    assert lines[1:] == ["listed 120 = 120 rows + 0 rejects + 0 skips"]


@pytest.mark.parametrize("several", [list, set, np.array, pa.array])
def test_globs_in_anything_that_holds_several(sample_tree, several):
    folders = {path.parent.name for path in sample_tree.rglob("*.jpg")}
    last, *others = (f"{folder}/*" for folder in sorted(folders, reverse=True))
    summary = pomona.check(sample_tree, exclude=several(others))
    assert 0 < summary.listed < 120
    assert summary.listed == pomona.check(sample_tree, include=last).listed


def test_globs_in_an_iterator(sample_tree):
    with pytest.raises(TypeError, match="exclude: a list is expected"):
        pomona.check(sample_tree, exclude=iter(["*"]))


def test_flags_are_true_or_false(sample_tree, tmp_path):
    summary = pomona.run(sample_tree, tmp_path, pca_components=2, center=np.True_, report="none")
    assert summary.rows == 120
    with pytest.raises(ValueError, match="center '1': expected True or False"):
        pomona.run(sample_tree, tmp_path, center=1)


def test_a_summary_has_every_field():
    header = (pathlib.Path(__file__).parents[2] / "include/pomona/run.h").read_text()
    fields = set()
    for name in ("Counts", "RunSummary"):
        (body,) = re.findall(rf"^struct {name} {{$(.*?)^}};", header, re.M | re.S)
        fields |= set(re.findall(r"^  [\w:<>, ]+? (\w+)(?: = \S+)?;", body, re.M))
    assert {"listed", "reused", "reused_run_id", "unlabelled", "folders"} <= fields
    assert fields - {"counts"} <= set(dir(pomona.RunSummary))


def test_run_raises_what_users_expect(sample_tree, tmp_path):
    class Stop(Exception):
        pass

    def stop(*_):
        raise Stop

    with pytest.raises(Stop):
        pomona.run(sample_tree, tmp_path / "out", run_id="x", progress=stop)
    assert not list(tmp_path.glob("out/run_info/*"))

    tree = tmp_path / "tree" / "a"
    tree.mkdir(parents=True)
    (tree / "bad.jpg").write_bytes(b"bad")
    for path in sorted(sample_tree.rglob("*.jpg"))[:4]:
        (tree / path.name).write_bytes(path.read_bytes())
    with pytest.raises(pomona.TooManyRejects, match="1 of 5"):
        pomona.run(tree.parent, tmp_path / "out2", pca_components=2, max_rejects=0)
    assert pomona.run(tree.parent, tmp_path / "out2", pca_components=2).rejects == 1


def test_fit_transform_and_back(table):
    rows = matrix(table["features"]).astype(np.float64)
    for options in ({}, {"center": True}, {"center": True, "standardize": True}):
        pca = pomona.PCA(60, **options)
        projected = pca.fit_transform(rows)
        np.testing.assert_array_equal(projected, pca.transform(rows))
        assert (
            pca.get_params()
            == {"n_components": 60, "center": False, "standardize": False} | options
        )
        scaled = (rows - (pca.mean_ if pca.center else 0)) / (pca.scale_ if pca.standardize else 1)
        nearest = scaled @ pca.components_.T @ pca.components_
        nearest = nearest * (pca.scale_ if pca.standardize else 1) + (
            pca.mean_ if pca.center else 0
        )
        np.testing.assert_allclose(pca.inverse_transform(projected), nearest, atol=1e-4)
        np.testing.assert_array_equal(
            pca.inverse_transform(pca.transform(table["features"])),
            pca.inverse_transform(projected),
        )
    theirs = sklearn.decomposition.PCA(60, svd_solver="full").fit(rows)
    ours = pomona.PCA(60, center=True).fit(rows)
    np.testing.assert_allclose(
        ours.inverse_transform(ours.transform(rows)),
        theirs.inverse_transform(theirs.transform(rows)),
        atol=1e-6,
    )


def test_the_parts_say_what_they_are(extractor, table):
    assert repr(extractor) == "Extractor(threads=2, engine='native', device='any', cpu='best')"
    assert repr(pomona.PCA(5, center=True)) == "PCA(n_components=5, center=True, standardize=False)"
    moments = pomona.Moments(1280).add(table["features"])
    assert repr(moments) == "<pomona.Moments of 120 rows of 1280 features>"
    assert dir(pomona) == sorted(pomona.__all__)
    assert list(inspect.signature(pomona.Extractor).parameters) == [
        "weights",
        "threads",
        "engine",
        "device",
        "cpu",
        "memory",
    ]
    assert list(inspect.signature(pomona.PCA).parameters) == [
        "n_components",
        "center",
        "standardize",
    ]
    for part in (pomona.Extractor, pomona.PCA, pomona.Moments):
        for name, method in inspect.getmembers(part, inspect.isroutine):
            if not name.startswith("_") and name != "to_bytes":
                inspect.signature(method)


def test_an_extractor_can_be_pickled(extractor, table, paths):
    copy = pickle.loads(pickle.dumps(extractor))
    assert repr(copy) == repr(extractor)
    assert copy.extract(paths[:2]).equals(table.slice(0, 2))


def test_a_cpu_is_that_of_one_call(sample_tree, tmp_path):
    def works(cpu):
        try:
            return bool(pomona.Extractor(threads=1, cpu=cpu))
        except NotImplementedError:
            return False

    cpus = [cpu for cpu in ("avx512", "avx2", "neon") if works(cpu)]
    pomona.run(sample_tree, tmp_path / "a", cpu="scalar", limit=3, pca_components=2, run_id="a")
    assert [cpu for cpu in ("avx512", "avx2", "neon") if works(cpu)] == cpus
    infos = []
    pomona.run(sample_tree, tmp_path / "b", limit=3, pca_components=2, run_id="b")
    for name in "ab":
        (info,) = (tmp_path / name / f"run_info/run_info_{name}").glob("part-*.json")
        infos.append(json.loads(info.read_text()))
    assert infos[0]["cpu"] == "scalar"
    assert infos[1]["cpu"] == (cpus or ["scalar"])[0]


def test_a_child_forked_while_busy_extracts(paths):
    code = f"""
import os, threading, warnings
import pomona
warnings.simplefilter("ignore", DeprecationWarning)  # of fork with threads
paths = {[str(path) for path in paths]!r}
extractor = pomona.Extractor(threads=2)
expected = extractor.extract(paths[:1])
busy, stop = threading.Event(), threading.Event()
def work():
    while not stop.is_set():
        extractor.extract(paths, progress=lambda *_: busy.set())
thread = threading.Thread(target=work)
thread.start()
busy.wait()
for _ in range(3):
    child = os.fork()
    if child == 0:
        os._exit(0 if extractor.extract(paths[:1]).equals(expected) else 1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
stop.set()
thread.join()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.returncode) == ("0\n0\n0\n", 0), done.stderr


def words_of(hint):
    """The strings that a type allows, if it is of them."""
    if typing.get_origin(hint) is typing.Literal:
        return set(typing.get_args(hint))
    return set().union(*map(words_of, typing.get_args(hint)))


def test_the_types_know_every_option():
    hints = typing.get_type_hints(_options.RunOptions)
    assert set(hints) == {spec.name for spec in _core.option_specs()}
    choices = {name: words for name, hint in hints.items() if (words := words_of(hint))}
    names = {
        "mode",
        "decode",
        "stats",
        "engine",
        "cpu",
        "formats",
        "vectors",
        "report",
        "report_images",
    }
    assert set(choices) == names
    for name, words in choices.items():
        with pytest.raises(ValueError, match="expected") as raised:
            _core.RunOptions(**{name: "nonesuch"})
        expected = str(raised.value).partition("expected ")[2]
        assert set(re.findall(r"\w+", expected)) - {"or"} == words, name
        for word in words:
            _core.RunOptions(**{name: word})


def test_defaults_are_the_programs():
    """Those of the parts, which Python shows in their signatures."""
    options = _core.RunOptions()
    for part, names in {
        pomona.Extractor: {"threads": "threads", "engine": "engine", "cpu": "cpu"},
        pomona.PCA: {
            "n_components": "pca_components",
            "center": "center",
            "standardize": "standardize",
        },
    }.items():
        parameters = inspect.signature(part).parameters
        for name, option in names.items():
            assert parameters[name].default == getattr(options, option)


def test_the_gil_is_released(extractor, paths):
    """Another thread works meanwhile. Where it could not, it would have a moment after the call."""
    ended = threading.Event()
    of_thread = 0.0

    def work():
        nonlocal of_thread
        while not ended.is_set():
            of_thread = time.thread_time()

    thread = threading.Thread(target=work)
    thread.start()
    before = of_thread, time.process_time()
    extractor.extract(paths)
    worked, all_worked = of_thread - before[0], time.process_time() - before[1]
    ended.set()
    thread.join()
    assert worked > all_worked / 20


@pytest.mark.parametrize(
    "imports",
    [
        "pomona, numpy, pandas, sklearn.decomposition, hashlib, ssl, pyarrow.parquet, duckdb",
        "hashlib, ssl, duckdb, sklearn.decomposition, pandas, numpy, pyarrow.parquet, pomona",
        "polars, PIL.Image, pomona, datasets",
    ],
)
def test_other_libraries_before_and_after(imports, paths):
    code = f"""
import {imports}
import hashlib, pomona
hashlib.sha256(b"x").hexdigest()
print(pomona.Extractor(threads=1).extract([{str(paths[0])!r}])["verdict"][0].as_py())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("ok\n", 0), done.stderr


def test_the_program_comes_along(tmp_path):
    program = str(pathlib.Path(sys.executable).with_name("pomona"))
    job = subprocess.run([program, "spark-job"], capture_output=True, text=True, check=True)
    assert job.stdout.strip() == str(pathlib.Path(pomona.__file__).with_name("spark_job.py"))
    # With the weights of the package, from any folder.
    subprocess.run([program, "sample", "tree", "--images", "24"], cwd=tmp_path, check=True)
    command = [program, "run", "tree", "out", "--run-id", "x", "--pca-components", "3", "--quiet"]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    subprocess.run(command, cwd=tmp_path, check=True, env=environment)
    (info,) = (tmp_path / "out/run_info/run_info_x").glob("part-*.json")
    assert json.loads(info.read_text())["counts"]["rows"] == 24
    assert len(pd.read_parquet(tmp_path / "out/pca/parquet/pca_x")) == 24
