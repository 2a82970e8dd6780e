"""OUTPUT/README.md, by Hugging Face's own `datasets`."""

import pathlib
import re
import shutil
import subprocess
import sys

import duckdb
import pyarrow.parquet as pq
import pytest
import yaml

datasets = pytest.importorskip("datasets")


def run(pomona, tree, output, run_id, *options):
    command = [pomona, "run", tree, output, "--run-id", run_id, "--progress", "none", *options]
    return subprocess.run(command, check=True, capture_output=True, text=True)


def delete(pomona, output, run_id):
    subprocess.run([pomona, "delete", output, "--run-id", run_id, "--yes"], check=True)


def front_matter(output):
    """What Hugging Face reads of the card."""
    return yaml.safe_load((output / "README.md").read_text().split("---\n")[1])


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    """The libraries read their environment once, so these are their variables."""
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture(scope="module")
def output(pomona, sample_tree, tmp_path_factory):
    output = tmp_path_factory.mktemp("card") / "out"
    run(pomona, sample_tree, output, "demo")
    return output


def test_every_configuration_loads(output):
    names = datasets.get_dataset_config_names(str(output))
    assert names[:2] == ["features", "pca"]
    assert [entry["config_name"] for entry in front_matter(output)["configs"]] == names
    for entry in front_matter(output)["configs"]:
        loaded = datasets.load_dataset(str(output), entry["config_name"], split="train")
        (folder, _) = entry["data_files"].rsplit("/", 1)
        expected = pq.read_table(output / folder)
        assert loaded.num_rows == expected.num_rows > 0
        assert loaded.column_names == expected.column_names
        assert loaded.with_format("arrow")[:].to_pylist() == expected.to_pylist()


def test_the_features_are_the_default(output):
    loaded = datasets.load_dataset(str(output), split="train")
    assert loaded.column_names == ["path", "label", "features"]


def test_a_copy_elsewhere_loads(output, tmp_path):
    shutil.copytree(output, tmp_path / "copy")
    loaded = datasets.load_dataset(str(tmp_path / "copy"), "pca", split="train")
    assert loaded.num_rows == pq.read_table(output / "pca/parquet/pca_demo").num_rows


def test_its_snippets_run(output, tmp_path, monkeypatch):
    card = (output / "README.md").read_text()
    rows = pq.read_table(output / "features/parquet/features_demo").num_rows
    snippets = re.findall(r"```python\n(.*?)```", card, re.S)
    assert len(snippets) == 2
    for code in snippets:
        done = subprocess.run(
            [sys.executable, "-c", f"{code}\nprint(len(features))"],
            cwd=output,
            env={"PATH": "/usr/bin:/bin", "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        assert int(done.stdout) == rows
    (query,) = re.findall(r"```sql\n(.*?)```", card, re.S)
    monkeypatch.chdir(output)
    assert duckdb.sql(query).fetchall() == [(rows,)]


def test_it_follows_the_newest_run(pomona, sample_tree, tmp_path):
    output = tmp_path / "out"
    run(pomona, sample_tree, output, "a")
    first = (output / "README.md").read_bytes()
    run(pomona, sample_tree, output, "b", "--pca-components", "5")
    assert "features_b/*.parquet" in front_matter(output)["configs"][0]["data_files"]
    # Of several runs, the newest alone is loaded.
    loaded = datasets.load_dataset(str(output), "features", split="train")
    assert loaded.num_rows == pq.read_table(output / "features/parquet/features_a").num_rows
    delete(pomona, output, "b")
    assert (output / "README.md").read_bytes() == first
    delete(pomona, output, "a")
    assert not (output / "README.md").exists()


def test_what_a_kill_left_undone_is_done_by_whoever_comes_next(pomona, sample_tree, tmp_path):
    """The journal is removed after the card is written."""
    output = tmp_path / "out"
    run(pomona, sample_tree, output, "a")
    card = output / "README.md"
    first = card.read_bytes()
    card.unlink()
    journal = output / "_pomona/publishing"
    journal.parent.mkdir(exist_ok=True)
    journal.write_text("a\n")
    again = [pomona, "run", sample_tree, output, "--run-id", "a", "--progress", "none"]
    done = subprocess.run(again, capture_output=True, text=True, check=False)
    assert "already published" in done.stderr
    assert card.read_bytes() == first
    assert not journal.exists()
    # A kill in the middle of `pomona delete`: the card is of a run that is gone.
    shutil.rmtree(output / "run_info/run_info_a")
    journal.parent.mkdir(exist_ok=True)
    journal.write_text("a\n")
    (tmp_path / "empty").mkdir()
    failed = subprocess.run([pomona, "run", tmp_path / "empty", output], check=False)
    assert failed.returncode == 1
    assert not card.exists()
    assert list(output.rglob("*_a")) == []


def test_a_readme_of_somebody_else_stays(pomona, sample_tree, tmp_path):
    output = tmp_path / "out"
    output.mkdir()
    readme = output / "README.md"
    readme.write_text("# My fruits\n")
    done = run(pomona, sample_tree, output, "a")
    assert done.stderr.count("README.md") == 1
    delete(pomona, output, "a")
    assert readme.read_text() == "# My fruits\n"


def test_what_stands_in_its_place_does_not_fail_a_run(pomona, sample_tree, tmp_path):
    output = tmp_path / "out"
    (output / "README.md/mine").mkdir(parents=True)
    done = run(pomona, sample_tree, output, "a")
    assert "the dataset card was not written" in done.stderr
    assert (output / "run_info/run_info_a/_SUCCESS").exists()
    subprocess.run([pomona, "verify", output], check=True)
    assert (output / "README.md/mine").is_dir()


def test_csv_alone_makes_a_card_without_configurations(pomona, sample_tree, tmp_path):
    output = tmp_path / "out"
    run(pomona, sample_tree, output, "a", "--formats", "csv")
    listed = [entry["config_name"] for entry in front_matter(output).get("configs", [])]
    assert "features" not in listed and "pca" not in listed


def test_the_same_run_gives_the_same_card(pomona, sample_tree, tmp_path):
    for name, threads in (("one", "1"), ("two", "2")):
        run(pomona, sample_tree, tmp_path / name, "demo", "--threads", threads)
    cards = [pathlib.Path(tmp_path / name / "README.md").read_bytes() for name in ("one", "two")]
    assert cards[0] == cards[1]
    assert str(tmp_path).encode() not in cards[0] and str(sample_tree).encode() not in cards[0]
