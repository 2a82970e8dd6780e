"""The fitted PCA in the forms that others load, and runs that project by an earlier one."""

import ast
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import time

import numpy as np
import pyarrow.parquet
import pytest
import safetensors.numpy

OPTIONS = [[], ["--center"], ["--standardize"], ["--center", "--standardize"]]
ID = "one"


def call(pomona, tree, output, *options, run_id=ID):
    command = [pomona, "run", tree, output, "--run-id", run_id, "--quiet", *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def model(output, run_id=ID, name="pca_model", extension="safetensors"):
    return output / f"model_info/{name}_{run_id}/part-00000.{extension}"


def column(output, table, name, run_id=ID):
    read = pyarrow.parquet.read_table(output / f"{table}/parquet/{table}_{run_id}")[name]
    return np.array(read.combine_chunks().flatten()).reshape(len(read), -1)


def tables(output, run_id):
    """The bytes of what a PCA makes, by their paths but for the run's id."""
    found = {}
    for kind in ("pca/parquet/pca", "pca/csv/pca", "model_info/pca_model", "model_info/variance"):
        for part in sorted((output / f"{kind}_{run_id}").iterdir()):
            found[kind, part.name] = part.read_bytes()
    return found


@pytest.fixture
def onnx_python():
    python = shutil.which(os.environ.get("POMONA_ONNX_PYTHON", ""))
    if not python:
        pytest.skip("POMONA_ONNX_PYTHON does not name a Python with onnx and onnxruntime")
    return python


@pytest.fixture(scope="module")
def fitted(pomona, sample_tree, tmp_path_factory):
    """A run of ten components, not centered."""
    output = tmp_path_factory.mktemp("fitted") / "out"
    done = call(pomona, sample_tree, output, "--pca-components", 10)
    assert done.returncode == 0, done.stderr
    return output


@pytest.mark.parametrize("options", OPTIONS, ids=" ".join)
def test_onnx_runtime_projects_as_the_run_does(pomona, onnx_python, sample_tree, tmp_path, options):
    output = tmp_path / "out"
    assert call(pomona, sample_tree, output, "--pca-components", 10, *options).returncode == 0
    features = column(output, "features", "features")
    np.save(tmp_path / "features.npy", features)
    script = pathlib.Path(__file__).with_name("onnx_run.py")
    onnx = model(output, name="pca_onnx", extension="onnx")
    command = [onnx_python, script, onnx, tmp_path / "features.npy", tmp_path / "out.npy"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = ast.literal_eval(done.stdout)
    info = json.loads(model(output, name="model_info", extension="json").read_text())
    assert told == {
        "weights_digest": info["weights"]["digest"],
        "preprocessing": info["preprocessing"],
    }
    # A chain of n operations in float32 is off by at most n u of the sum of its terms' magnitudes,
    # u = 2^-24: here 1280 products and sums, and the roundings of the mean, of x - mean, of the
    # components and of the run's own numbers.
    pca = safetensors.numpy.load_file(model(output))
    scaled = features.astype(np.float64)
    off = np.zeros_like(scaled)
    if "--center" in options:
        scaled, off = scaled - pca["mean"], np.abs(scaled) + np.abs(pca["mean"])
    scale = pca.get("scale", 1.0)
    weights = np.abs(pca["components"] / scale).T
    bound = 2.0**-24 * ((1280 + 4) * np.abs(scaled) @ weights + 2 * off @ weights)
    expected = column(output, "pca", "pca_features")
    made = np.load(tmp_path / "out.npy")
    assert made.dtype == np.float32 and made.shape == expected.shape
    assert (np.abs(made - expected.astype(np.float64)) <= bound).all()
    assert np.abs(made - expected).max() < 2e-5  # what it is in fact

    # The model for Spark is left out where it could not project.
    assert (output / f"model_info/spark_pca_{ID}").exists() == ("--center" not in options)
    verified = subprocess.run([pomona, "verify", output], capture_output=True, check=False)
    assert verified.returncode == 0, verified


def test_the_same_run_has_the_same_forms(pomona, sample_tree, fitted, tmp_path):
    done = call(pomona, sample_tree, tmp_path, "--pca-components", 10, "--threads", 1)
    assert done.returncode == 0, done.stderr
    for name in ("pca_onnx", "spark_pca"):
        folder = f"model_info/{name}_{ID}"
        files = sorted(path for path in (fitted / folder).rglob("*") if path.is_file())
        assert len(files) >= 2
        for path in files:
            again = tmp_path / path.relative_to(fitted)
            assert again.read_bytes() == path.read_bytes(), path


def test_what_verify_and_delete_make_of_inner_folders(pomona, sample_tree, tmp_path):
    assert call(pomona, sample_tree, tmp_path, "--pca-components", 3).returncode == 0
    spark = tmp_path / f"model_info/spark_pca_{ID}"

    def verify():
        command = [pomona, "verify", tmp_path]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def delete():
        command = [pomona, "delete", tmp_path, "--run-id", ID, "--yes"]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert verify()[0] == 0
    for stranger in (spark / "metadata/mine.txt", spark / "mine", spark / "data/x.parquet"):
        stranger.write_text("mine")
        code, said = verify()
        assert code == 1 and f"{stranger}: no file of this run" in said
        refused = delete()
        assert refused.returncode == 1 and str(stranger) in refused.stderr
        stranger.unlink()
    part = spark / "data/part-00000.parquet"
    kept = part.read_bytes()
    part.write_bytes(kept[:-1])
    assert "its checksum is wrong" in verify()[1]
    part.write_bytes(kept)
    (spark / "metadata/_SUCCESS").unlink()
    assert "_SUCCESS is missing" in verify()[1]
    assert delete().returncode == 0
    assert not spark.exists()


@pytest.mark.parametrize("options", [[], ["--center"], ["--standardize", "--vectors", "spark"]])
def test_new_pictures_by_an_earlier_fit(pomona, sample_tree, tmp_path, options):
    assert call(pomona, sample_tree, tmp_path, "--pca-components", 10, *options).returncode == 0
    layout = [option for option in options if option in ("--vectors", "spark")]
    # All of them again: the same numbers, without a fit.
    again = ["--pca", model(tmp_path), *layout, "--fresh"]
    done = call(pomona, sample_tree, tmp_path, *again, run_id="two")
    assert done.returncode == 0, done.stderr
    assert tables(tmp_path, "two") == tables(tmp_path, ID)
    digest = hashlib.sha256(model(tmp_path).read_bytes()).hexdigest()
    for run_id, given in ((ID, False), ("two", True)):
        path = model(tmp_path, run_id, name="model_info", extension="json")
        assert json.loads(path.read_text())["pca"] == {
            "digest": digest,
            "images": 120,
            "given": given,
        }
    info = json.loads((tmp_path / "run_info/run_info_two/part-00000.json").read_text())
    assert info["options"]["pca"] == str(model(tmp_path))
    assert info["options"]["pca_components"] == 10
    # Fewer images than components.
    few = ["--pca", model(tmp_path), *layout, "--include", "*/0_100.jpg", "--limit", 3]
    done = call(pomona, sample_tree, tmp_path, *few, run_id="few")
    assert done.returncode == 0, done.stderr
    path = model(tmp_path, "few", name="model_info", extension="json")
    assert json.loads(path.read_text())["num_images_processed"] == 3
    verified = [pomona, "verify", tmp_path, "--run-id", "few"]
    assert subprocess.run(verified, capture_output=True, check=False).returncode == 0


def test_shards_project_by_it(pomona, sample_tree, fitted, tmp_path):
    for shard in ("1/2", "2/2"):
        given = ["--pca", model(fitted), "--shard", shard]
        assert call(pomona, sample_tree, tmp_path, *given).returncode == 0
    assert tables(tmp_path, ID) == tables(fitted, ID)


def test_a_killed_run_projects_by_it_when_it_resumes(pomona, fitted, tmp_path):
    subprocess.run([pomona, "sample", tmp_path / "tree", "--images", "480"], check=True)
    whole = call(pomona, tmp_path / "tree", tmp_path / "whole", "--pca", model(fitted))
    assert whole.returncode == 0, whole.stderr
    given = ["--run-id", ID, "--quiet", "--pca", model(fitted)]
    job = [pomona, "run", tmp_path / "tree", tmp_path / "out", *given]
    with subprocess.Popen([*job, "--threads", "1"]) as process:
        while not list(tmp_path.glob("out/_pomona/fragments/*")):
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    assert not (tmp_path / "out/pca").exists()
    resumed = call(pomona, tmp_path / "tree", tmp_path / "out", "--pca", model(fitted))
    assert resumed.returncode == 0, resumed.stderr
    assert tables(tmp_path / "out", ID) == tables(tmp_path / "whole", ID)
    assert model(tmp_path / "out").read_bytes() == model(fitted).read_bytes()


def test_what_does_not_fit(pomona, sample_tree, fitted, tmp_path):
    def error(*options):
        done = call(pomona, sample_tree, tmp_path, "--pca", model(fitted), *options)
        assert done.returncode == 1
        return done.stderr

    assert "is a PCA of 10 components, not centered, not standardized; leave out --center" in error(
        "--center"
    )
    # Said, though it is the default.
    assert "leave out --pca-components 50" in error("--pca-components", 50)
    scaled = error("--decode", "scaled")
    assert "was fitted on features of the weights c009b1f1262c" in scaled
    assert "jpegscaled" in scaled
    assert call(pomona, sample_tree, tmp_path, "--pca", tmp_path / "none").returncode == 1
    agreeing = ["--pca", model(fitted), "--pca-components", 10]
    assert call(pomona, sample_tree, tmp_path, *agreeing).returncode == 0


def test_from_python(sample_tree, fitted, tmp_path):
    package = pytest.importorskip("pomona", reason="the package is not installed")
    summary = package.run(sample_tree, tmp_path, run_id=ID, pca=model(fitted))
    assert summary.components == 10
    assert summary.given_pca == hashlib.sha256(model(fitted).read_bytes()).hexdigest()
    assert tables(tmp_path, ID) == tables(fitted, ID)
    pca = package.PCA.load(model(fitted))
    assert pca.to_onnx() == model(fitted, name="pca_onnx", extension="onnx").read_bytes()
    with pytest.raises(ValueError, match="leave out pca_components 3"):
        package.run(sample_tree, tmp_path / "2", pca=model(fitted), pca_components=3)
