"""Published runs, as `pomona show` and Python read them: the numbers of pandas and pyarrow, and
names that are nothing but text."""

import html.parser
import importlib
import json
import pickle
import re
import shutil
import subprocess
import sys

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

package = pytest.importorskip("pomona", reason="the package is not installed")

_progress = importlib.import_module("pomona._progress")

# Right names of folders on Linux.
HOSTILE = ["<script>alert(1)</script>", "red\x1b[31m\nrun x", 'a"b,c', "\u202egnp", "NA", "7"]


@pytest.fixture(scope="module")
def tree(sample_tree, tmp_path_factory):
    """Labels that are text, whatever they look like, and a reject of each of two reasons."""
    tree = tmp_path_factory.mktemp("hostile")
    images = sorted(sample_tree.rglob("*.jpg"))
    for number, label in enumerate(HOSTILE):
        folder = tree / label.replace("/", "\u2215")
        folder.mkdir()
        for image in images[: number + 1]:
            shutil.copy(image, folder / f"{image.parent.name}{image.name}")
    (tree / "NA/cut.jpg").write_bytes(images[0].read_bytes()[:500])
    (tree / "NA/empty.jpg").write_bytes(b"")
    (tree / "NA/notes.txt").write_text("no image")
    return tree


@pytest.fixture(scope="module")
def output(tree, tmp_path_factory):
    """An output with three runs: Parquet and CSV, CSV alone, MLlib's vectors."""
    output = tmp_path_factory.mktemp("runs")
    for run_id, options in {
        "both": {},
        "csv": {"formats": "csv"},
        "spark": {"formats": "parquet", "vectors": "spark"},
    }.items():
        summary = package.run(tree, output, run_id=run_id, pca_components=5, **options)
        assert summary.rejects == 2
    return output


def show(program, *arguments):
    return subprocess.run(
        [program, "show", *arguments], capture_output=True, text=True, check=False
    )


def files_of(output, run_id):
    return [path for path in output.rglob(f"*_{run_id}/**/*") if path.is_file()]


def test_show_json(pomona, output):
    listed = [json.loads(line) for line in show(pomona, output, "--json").stdout.splitlines()]
    assert [run["run_id"] for run in listed] == ["spark", "csv", "both"]
    for run in listed:
        files = files_of(output, run["run_id"])
        assert run["files"] == len(files)
        assert run["bytes"] == sum(path.stat().st_size for path in files)
        (info,) = (output / f"run_info/run_info_{run['run_id']}").glob("part-*")
        assert run["run_info"] == json.loads(info.read_text())
        success = info.with_name("_SUCCESS").stat().st_mtime
        assert pd.Timestamp(run["published"]).timestamp() == int(success)
    one = json.loads(show(pomona, output, "--run-id", "both", "--json").stdout)
    metadata = pd.read_csv(
        output / "metadata/metadata_both/part-00000.csv", dtype=str, keep_default_na=False
    )
    assert one["rows_by_label"] == metadata.groupby("label").size().to_dict()
    model = output / "model_info/model_info_both/part-00000.json"
    assert one["variance_by_component"] == json.loads(model.read_text())["variance_by_component"]


def test_the_terminal_sees_text(pomona, output):
    """No control characters, and no line that is a name's."""
    shown = show(pomona, output, "--run-id", "both").stdout
    assert "red?[31m?run x\n" in shown
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202a-\u202e]", shown)
    assert not re.search("^run x", shown, re.M)


def test_python_prints_what_the_program_does(pomona, output, capsys):
    assert str(package.runs(output)) + "\n" == show(pomona, output).stdout
    run = package.Run(output, "both")
    assert str(run) + "\n" == show(pomona, output, "--run-id", "both").stdout
    package.show(output)
    package.show(output, "both")
    assert capsys.readouterr().out == f"{package.runs(output)}\n{run}\n"
    assert repr(run) == f"<pomona.Run both of '{output}'>"


@pytest.mark.parametrize("run_id", ["both", "csv", "spark"])
def test_tables(output, run_id):
    """Parquet and CSV, lists and MLlib's vectors give the same tables."""
    run = package.Run(output, run_id)
    features = pa.parquet.read_table(output / "features/parquet/features_both")
    features = features.replace_schema_metadata()
    assert run.features()["path"].equals(features["path"])
    assert run.features()["label"].equals(features["label"])
    assert run.features()["features"].to_pylist() == features["features"].to_pylist()
    projected = run.pca()
    assert projected.column_names == ["path", "label", "pca_features"]
    expected = pa.parquet.read_table(output / "pca/parquet/pca_both")
    rounded = projected["pca_features"].cast(pa.list_(pa.float32()))
    assert rounded.to_pylist() == expected["pca_features"].to_pylist()
    assert run.metadata().equals(features.select(["path", "label"]))
    counts = run.metadata().to_pandas()["label"].value_counts().to_dict()
    assert counts == {label.replace("/", "\u2215"): n for n, label in enumerate(HOSTILE, 1)}
    if run_id == "csv":
        with pytest.raises(ValueError, match="has no metadata/parquet/metadata_csv"):
            run.images()
    else:
        images = run.images()
        assert images.select(["path", "label"]).equals(run.metadata())
        assert images["id"].to_pylist() == list(range(21))
        assert set(images["format"].to_pylist()) == {"JPEG"}
    errors = run.errors().to_pandas()
    assert ("relative_path" in errors) == (run_id != "csv")
    assert sorted(errors["reason"]) == ["empty", "truncated"]
    assert set(errors["label"]) == {"NA"}
    variance = run.variance().to_pandas()
    assert list(variance["component"]) == [1, 2, 3, 4, 5]
    assert variance["variance_explained"].cumsum().iloc[-1] == pytest.approx(
        variance["cumulative_variance"].iloc[-1]
    )
    assert run.info["counts"]["rows"] == 21


def test_a_run_without_rejects_has_an_empty_table_of_them(sample_run):
    errors = package.Run(sample_run).errors()
    assert (errors.num_rows, errors.column_names) == (
        0,
        ["path", "relative_path", "label", "size", "stage", "reason", "message"],
    )


def test_a_summary_has_the_tables(tree, tmp_path):
    summary = package.run(tree, tmp_path / "out", run_id="x", pca_components=2)
    assert summary.features().num_rows == summary.rows == summary.pca().num_rows == 21
    assert summary.errors().num_rows == summary.rejects
    assert summary.variance().num_rows == 2
    # Also where they are whole numbers, as of two images.
    two = package.run(tree, tmp_path / "two", pca_components=1, limit=2)
    shares = two.variance().select(["variance_explained", "cumulative_variance"])
    assert shares.schema.types == [pa.float64()] * 2
    assert shares.to_pylist() == [{"variance_explained": 1, "cumulative_variance": 1}]
    assert summary._repr_html_() == package.Run(tmp_path / "out")._repr_html_()
    package.delete(tmp_path / "out", "x")
    assert summary._repr_html_().startswith("<pre>run x: 21 images")


def test_the_latest_run_is_the_default(output):
    assert package.Run(output).run_id == "spark"
    assert [run.run_id for run in package.runs(output)] == ["spark", "csv", "both"]
    assert package.runs(output)[1].info["run_id"] == "csv"
    copy = pickle.loads(pickle.dumps(package.Run(output, "csv")))
    assert (copy.run_id, copy.metadata().num_rows) == ("csv", 21)


def test_what_is_not_there(output, tmp_path):
    with pytest.raises(ValueError, match="no run none is published in"):
        package.Run(output, "none")
    for call in (package.Run, package.runs):
        with pytest.raises(ValueError, match="no run is published in"):
            call(tmp_path)
    for call in (package.Run, package.runs, package.show, package.audit, package.Index):
        with pytest.raises(FileNotFoundError, match="there is no folder"):
            call(tmp_path / "none")
    with pytest.raises(ValueError, match=r"letters, digits, '_', '-' and '\.' only"):
        package.Run(output, "../both")
    with pytest.raises(ValueError, match="no run none is published in"):
        package.delete(output, "none")
    copied = shutil.copytree(output, tmp_path / "copy")
    shutil.rmtree(copied / "errors/errors_both")
    shutil.rmtree(copied / "errors/parquet/errors_both")
    with pytest.raises(ValueError, match="has no errors/errors_both"):
        package.Run(copied, "both").errors()


def test_delete(output, tmp_path):
    copied = shutil.copytree(output, tmp_path / "copy")
    package.delete(copied, "csv")
    assert files_of(copied, "csv") == []
    for run_id in ("both", "spark"):
        names = [path.relative_to(copied) for path in files_of(copied, run_id)]
        assert sorted(names) == sorted(p.relative_to(output) for p in files_of(output, run_id))
    assert not (copied / "_pomona").exists()


def test_delete_takes_what_a_killed_audit_left(output, tmp_path):
    copied = shutil.copytree(output, tmp_path / "copy")
    staged = copied / "audit/_pomona/publish/audit/neighbours"
    staged.mkdir(parents=True)
    (staged / "part").write_text("paths and labels")
    package.delete(copied, "csv")
    assert not list(copied.glob("audit/**/*"))


class Page(html.parser.HTMLParser):
    """Sees that what is opened is closed; keeps elements, their attributes and the text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.text = [], [], ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_html(output):
    page = Page(package.Run(output, "both")._repr_html_())
    tags = {tag for tag, _ in page.elements}
    assert tags <= set("div table caption thead tbody tr th td bdi span".split())
    # Names are text, each apart from what stands beside it.
    for label in HOSTILE:
        assert label.replace("/", "\u2215") in page.text
    assert [tag for tag, _ in page.elements].count("bdi") >= len(HOSTILE) + 2
    # MathJax, which notebooks call, makes formulas of what stands between dollars elsewhere.
    for tag, of in page.elements:
        assert tag != "table" or of["class"].split() == ["tex2jax_ignore", "mathjax_ignore"]
    # A screen reader knows what each table and cell is, and hears of no bar.
    assert [tag for tag, _ in page.elements].count("caption") == 3
    assert all("scope" in of for tag, of in page.elements if tag == "th")
    assert all(of["aria-hidden"] == "true" for tag, of in page.elements if tag == "span")
    # No colour of its own, nothing that is fetched.
    styles = " ".join(of["style"] for _, of in page.elements if "style" in of)
    assert set(re.findall("background:([^;]*)", styles)) == {"currentColor"}
    assert not re.search(r"url|(?<!-)\bcolor:", styles)
    info = package.Run(output, "both").info
    assert f"{info['counts']['rows']} in {info['seconds']['total']:.1f} s" in page.text
    assert "2: empty 1, truncated 1" in page.text
    (explained,) = re.findall(r"5 components explain ([\d.]+)%", page.text)
    cumulative = package.Run(output, "both").variance()["cumulative_variance"]
    assert float(explained) == pytest.approx(100 * cumulative[-1].as_py(), abs=0.05)


def test_html_of_the_runs(output):
    page = Page(package.runs(output)._repr_html_())
    for run_id in ("both", "csv", "spark"):
        assert run_id in page.text
    assert [tag for tag, _ in page.elements].count("tr") == 4


def test_the_bar_is_tqdms(tree, tmp_path, capsys):
    tqdm = pytest.importorskip("tqdm.auto", reason="tqdm is not installed")
    bars = []

    def made(**options):
        bars.append(tqdm.tqdm(**options))
        return bars[-1]

    bar = _progress.Bar(made)
    bar("list", 5, 0)
    bar("extract", 20, 80)
    bar("extract", 60, 80)
    (shown,) = bars
    assert (shown.desc, shown.n, shown.total, shown.unit) == ("extract: ", 60, 80, "it")
    bar("upload", 1_000, 2_000)
    assert (shown.desc, shown.n, shown.total, shown.unit) == ("upload: ", 1_000, 2_000, "B")
    bar.finish()
    assert shown.disable  # closed
    for progress in (True, "auto"):
        capsys.readouterr()
        package.run(tree, tmp_path / str(progress), pca_components=2, progress=progress)
        assert "write: " in capsys.readouterr().err


def test_lines_where_there_is_no_tqdm(tree, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    package.run(tree, tmp_path / "out", pca_components=2, progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert all(re.fullmatch(r"\w+(: [\d.]+ s| \d+/\d+ .*)", line) for line in lines), lines
    assert "write" in lines[-1]


def test_lines(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(_progress.time, "monotonic", lambda: now[0])
    said = []
    progress = _progress.Lines(said.append)
    progress("list", 0, 0)
    now[0] += 2
    progress("extract", 100, 1000)
    now[0] += 4
    progress("extract", 140, 1000)
    now[0] += 4
    progress("extract", 180, 1000)
    now[0] += 82
    progress.finish()
    assert said == ["list: 2.0 s", "extract 180/1000 18%  10/s  1m22s left", "extract: 90.0 s"]


def test_progress_is_off_or_a_function(tree, tmp_path, capsys):
    for number, progress in enumerate((None, False)):
        package.run(tree, tmp_path / str(number), pca_components=2, progress=progress)
    assert capsys.readouterr().err == ""
    with pytest.raises(ValueError, match="progress 'bar': expected True, 'auto', False or a func"):
        package.run(tree, tmp_path / "x", progress="bar")
