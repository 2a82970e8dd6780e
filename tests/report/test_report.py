"""The report against the run's tables, and its bytes against those of other runs."""

import base64
import csv
import io
import json
import re
import shutil
import subprocess

import numpy as np
import pyarrow.parquet
import pytest
from PIL import Image
from report_page import Page
from runs import RUN_ID, told_again

OPTIONS = ["--pca-components", "12"]


def report(output):
    return output / f"report/report_{RUN_ID}/report.html"


def json_of(output, name):
    return json.loads((output / f"{name}/{name}_{RUN_ID}/part-00000.json").read_text())


@pytest.fixture(scope="module")
def tree(sample_tree, tmp_path_factory):
    """The sample tree with what is rejected, and with names that are markup."""
    tree = tmp_path_factory.mktemp("report") / "tree"
    images = sorted(sample_tree.rglob("*.jpg"))
    for image in images[:100]:
        copy = tree / image.relative_to(sample_tree)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(image.read_bytes())
    whole = images[0].read_bytes()
    hostile = tree / "Training" / "<b>bold<!--"
    hostile.mkdir()
    (hostile / '"><script>alert(1)<.jpg').write_bytes(whole)
    (hostile / "cut.jpg").write_bytes(whole[: len(whole) * 2 // 3])
    (hostile / "empty.jpg").write_bytes(b"")
    (hostile / "notes.txt").write_bytes(b"no image")
    return tree


@pytest.fixture(scope="module")
def output(run, tree):
    return run(tree, *OPTIONS, "--threads", "2")


@pytest.fixture(scope="module")
def page(output):
    return Page(report(output))


def test_points_are_the_rows_of_the_pca(output, page):
    table = pyarrow.parquet.read_table(output / f"pca/parquet/pca_{RUN_ID}")
    assert page.paths() == table["path"].to_pylist()
    assert page.labels() == table["label"].to_pylist()
    scores = np.array(table["pca_features"].to_pylist(), dtype=np.float32)
    block = page.block("scatter", "scatter")
    assert len(block["components"]) == 10
    for component in range(10):
        assert list(page.scores(component + 1)) == scores[:, component].tolist()
    assert block["points"] == block["rows"] == len(table)


def test_counts_are_the_tables(output, page):
    model, info = json_of(output, "model_info"), json_of(output, "run_info")
    counts = info["counts"]
    facts = page.facts("run")
    assert (facts["Images (rows)"], facts["Rejects"]) == (counts["rows"], counts["rejects"])
    assert counts == {"listed": 104, "rows": 101, "rejects": 2, "skips": 1, "resumed": 0}
    assert facts["Digest of the weights"] == model["weights"]["digest"]
    labels = pyarrow.parquet.read_table(output / f"pca/parquet/pca_{RUN_ID}")["label"].to_pylist()
    shown = dict(page.block("labels", "bars")["rows"])
    assert shown == {label: labels.count(label) for label in set(labels)}
    assert list(shown.values()) == sorted(shown.values(), reverse=True)
    assert facts["Labels"] == len(shown)


def test_variance_is_the_models(output, page):
    model = json_of(output, "model_info")
    rows = page.block("variance", "variance")["rows"]
    assert [row[0] for row in rows] == list(range(1, 13))
    assert [row[1] for row in rows] == model["variance_by_component"]
    assert [row[2] for row in rows] == model["cumulative_variance"]
    components = page.block("scatter", "scatter")["components"]
    assert [how["share"] for how in components] == model["variance_by_component"][:10]


def test_rejects_are_the_errors(output, page, tree):
    path = output / f"errors/errors_{RUN_ID}/part-00000.csv"
    with path.open(newline="") as file:
        errors = list(csv.DictReader(file))
    block = page.block("rejects", "table")
    names = [column["name"] for column in block["columns"]]
    rows = [dict(zip(names, row, strict=True)) for row in block["rows"]]
    fields = ("path", "label", "stage", "reason", "message")
    assert [{key: row[key] for key in fields} for row in rows] == errors
    reasons = dict(page.block("rejects", "bars")["rows"])
    assert reasons == json_of(output, "run_info")["rejects_by_reason"]
    cut, empty = rows
    assert cut["size"] == (tree / "Training/<b>bold<!--/cut.jpg").stat().st_size
    assert Image.open(io.BytesIO(base64.b64decode(cut["picture"]))).size == (64, 64)
    assert (empty["size"], empty["picture"]) == (0, None)


def test_how_it_was_made_is_run_info(output, page):
    info = json_of(output, "run_info")
    facts = page.facts("making")
    assert facts["Input"] == info["input"]
    assert facts["Seconds in all"] == info["seconds"]["total"]
    assert facts["Peak memory"] == info["peak_memory_bytes"]
    stages = dict(page.block("making", "bars", "Seconds by stage, by the clock")["rows"])
    assert stages == {key: info["seconds"][key] for key in stages}
    assert set(stages) == {"list", "extract", "fit", "write", "report"}
    steps = dict(page.block("making", "bars", "Seconds by step, all workers together")["rows"])
    assert steps == info["worker_seconds"]
    (times,) = [b for b in page.sections["making"]["blocks"] if b["title"].startswith("Seconds an")]
    images = info["image_seconds"]
    assert dict(times["rows"]) == {key: images[key] for key in ("p50", "p95", "p99")}
    assert images["images"] == 101
    assert 0 < images["p50"] <= images["p95"] <= images["p99"] < info["seconds"]["total"]


def test_pictures_are_of_their_points(page):
    pictures = page.pictures()
    assert list(pictures) == list(range(101))
    for point, path in enumerate(page.paths()):
        with Image.open(path) as image:
            expected = np.asarray(image.convert("RGB").resize((64, 64)), dtype=float)
        shown = np.asarray(pictures[point].convert("RGB"), dtype=float)
        assert np.abs(shown - expected).mean() < 8, path


def test_threads_do_not_show(run, tree, output):
    for threads in (1, 8):
        again = report(run(tree, *OPTIONS, "--threads", str(threads)))
        assert told_again(again, again.read_bytes()) == told_again(
            report(output), report(output).read_bytes()
        )


def test_no_name_is_markup(page):
    text = page.path.read_text(encoding="utf-8")
    assert "<b>" not in text
    assert "<script>alert" not in text
    assert "<b>bold<!--" in page.labels()


def test_command_makes_the_same_page(pomona, output, tmp_path):
    made = subprocess.run(
        [pomona, "report", output, "--output", tmp_path / "page.html"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert made.stdout == f"written to {tmp_path / 'page.html'}\n"
    assert (tmp_path / "page.html").read_bytes() == report(output).read_bytes()


def test_command_names_the_file_itself(pomona, output, tmp_path):
    subprocess.run([pomona, "report", output, "--run-id", RUN_ID], check=True, cwd=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [f"report_{RUN_ID}.html"]


@pytest.mark.parametrize(
    ("options", "has_paths"),
    [(["--report-images", "none"], True), (["--report", "plots"], False)],
)
def test_pictures_can_be_left_out(run, tree, options, has_paths):
    page = Page(report(run(tree, *OPTIONS, *options)))
    assert page.pictures() == {}
    assert ("paths" in page.arrays) == has_paths
    assert [row[0] for row in page.block("rejects", "table")["rows"]] == [None, None]


def test_other_formats_have_the_same_page(run, tree, output):
    for options in (["--formats", "csv"], ["--formats", "parquet", "--vectors", "spark"]):
        again = report(run(tree, *OPTIONS, *options))
        assert told_again(again, again.read_bytes()) == told_again(
            report(output), report(output).read_bytes()
        )


def test_there_need_be_none(run, tree):
    output = run(tree, *OPTIONS, "--report", "none")
    assert not (output / "report").exists()


def test_verify_knows_it(pomona, run, tree):
    output = run(tree, *OPTIONS)

    def verified():
        done = subprocess.run(
            [pomona, "verify", output], capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout

    assert verified()[0] == 0
    report(output).write_text("another page")
    code, said = verified()
    assert code == 1
    assert re.search(r"report\.html: its checksum is wrong", said)


def test_a_run_that_worked_on_no_image_has_no_speed(pomona, sample_run, sample_tree, tmp_path):
    output = shutil.copytree(sample_run, tmp_path / "out")
    again = ["--run-id", "again", "--pca-components", "10", "--vectors", "spark", "--quiet"]
    subprocess.run([pomona, "run", sample_tree, output, *again], check=True)
    (line,) = [
        line
        for line in Page(output / "report/report_again/report.html").sections["making"]["headlines"]
        if line["name"] == "images a second"
    ]
    assert line["value"] is None
    facts = Page(output / "report/report_again/report.html").facts("making")
    assert (facts["Reused from an earlier run"], facts["Images a second"]) == (120, None)


def test_a_run_without_rejects_says_so(sample_run):
    rejects = Page(report(sample_run)).sections["rejects"]
    assert rejects["intro"] == "None: every image gave features."
    assert rejects["blocks"] == []


def page_of(pomona, output, folder):
    """What `pomona report` makes, in `folder`."""
    file = folder / "page.html"
    subprocess.run([pomona, "report", output, "--output", file], check=True)
    return Page(file)


def odd(row):
    """The issues of an image beside duplicates."""
    issues = [name[3:-6] for name, value in row.items() if value is True]
    return ", ".join(name for name in issues if not name.endswith("duplicates"))


def check_image_issues(found, table):
    issues = found.block("audit", "table", "Image issues, the worst first")["rows"]
    by_path = {row["path"]: row for row in table}
    assert {row[3] for row in issues} >= {"grayscale", "odd_aspect_ratio, grayscale, odd_size"}
    for _, path, _, names, score in issues:
        assert names == odd(by_path[path])
        scores = [by_path[path][f"{name}_score"] for name in names.split(", ")]
        assert float(score) == pytest.approx(min(scores), rel=1e-3, abs=1e-12)
    assert [float(row[4]) for row in issues] == sorted(float(row[4]) for row in issues)


def test_an_audit_is_a_section_of_its_own(pomona, run, data, tmp_path):
    tree = shutil.copytree(data / "fruits/Training", tmp_path / "tree")
    fruit = Image.open(next((tree / "Lemon").iterdir()))
    fruit.convert("L").save(tree / "Lemon/gray.png")
    fruit.resize((300, 40)).convert("L").save(tree / "Lemon/wide.png")
    output = run(tree, *OPTIONS)

    assert "audit" not in page_of(pomona, output, tmp_path).sections
    subprocess.run([pomona, "audit", output, "--near", "0.97", "--neighbours", "3"], check=True)
    found = page_of(pomona, output, tmp_path)
    headlines = [line["value"] for line in found.sections["audit"]["headlines"]]
    tables = {
        name: pyarrow.parquet.read_table(
            output / f"audit/{name}/parquet/{name}_{RUN_ID}"
        ).to_pylist()
        for name in ("duplicates", "split_leaks", "outliers", "label_issues", "image_issues")
    }
    assert headlines == [
        len(tables["duplicates"]),
        len(tables["split_leaks"]),
        sum(row["is_outlier_issue"] for row in tables["outliers"]),
        sum(row["is_label_issue"] for row in tables["label_issues"]),
        sum(odd(row) != "" for row in tables["image_issues"]),
    ]
    duplicates = found.block("audit", "table", "Duplicates: groups with several labels first")
    names = [column["name"] for column in duplicates["columns"]]
    assert names == ["picture", "path", "label", "group", "distance", "kind", "label_conflict"]
    assert len(duplicates["rows"]) == 300
    assert duplicates["more"] == f"and {headlines[0] - 300} more"
    for shown, row in zip(duplicates["rows"], tables["duplicates"][:300], strict=True):
        assert shown[1:4] == [row["path"], row["label"], str(row["group"])]
        assert float(shown[4]) == pytest.approx(row["distance"], rel=1e-3, abs=1e-12)
    picture = Image.open(io.BytesIO(base64.b64decode(duplicates["rows"][0][0])))
    assert max(picture.size) == 64
    check_image_issues(found, tables["image_issues"])


def test_an_audits_images_stand_beside_those_nearest_to_them(pomona, fruits_run, tmp_path):
    output = shutil.copytree(fruits_run, tmp_path / "out")
    subprocess.run([pomona, "audit", output, "--near", "0.97", "--knn", "4"], check=True)
    neighbours: dict[str, list] = {}
    table = pyarrow.parquet.read_table(
        output / f"audit/neighbours/parquet/neighbours_{RUN_ID}"
    ).to_pylist()
    for row in table:
        neighbours.setdefault(row["path"], []).append(row)
    found = page_of(pomona, output, tmp_path)
    beside = found.block("audit", "table", "Duplicates: groups with several labels first")
    names = [column["name"] for column in beside["columns"]]
    assert names[:4] == ["picture", "nearest 1", "nearest 2", "nearest 3"]
    assert names[4:6] == ["of the nearest: label, distance", "path"]
    assert len(beside["rows"]) == 300
    for place, shown in enumerate(beside["rows"]):
        nearest = neighbours[shown[5]][:3]
        assert shown[0] is not None
        assert shown[4] == ", ".join(
            f"{row['neighbour_label']} {row['distance']:.4g}" for row in nearest
        )
        if place >= 50:
            assert shown[1:4] == [None] * 3
            continue
        paths = [shown[5], *(row["neighbour"] for row in nearest)]
        for encoded, path in zip(shown, paths, strict=False):
            small = Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB")
            real = Image.open(path).convert("RGB").resize(small.size)
            assert np.abs(np.asarray(small, int) - np.asarray(real, int)).mean() < 6

    # An audit that lacks what it was asked for is damaged.
    shutil.rmtree(output / "audit/neighbours")
    failed = subprocess.run([pomona, "report", output], capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    assert "audit/neighbours" in failed.stderr
