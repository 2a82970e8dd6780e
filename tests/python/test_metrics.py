"""--metrics and --log-format, read by others: Prometheus' own parser and promtool."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

ROOT = pathlib.Path(__file__).parents[2]
MONITORING = ROOT / "deploy/monitoring"


@pytest.fixture(scope="module")
def promtool():
    tool = shutil.which(os.environ.get("POMONA_PROMTOOL", ""))
    if not tool:
        pytest.skip("POMONA_PROMTOOL does not name promtool")
    return tool


def parse(text):
    """Values by the sample's name and labels, but for `file`; and the types of the metrics."""
    families = list(text_string_to_metric_families(text))
    values = {}
    for family in families:
        assert family.documentation, family.name
        for sample in family.samples:
            assert sample.timestamp is None
            labels = frozenset(item for item in sample.labels.items() if item[0] != "file")
            assert (sample.name, labels) not in values
            values[sample.name, labels] = sample.value
    return values, {family.name: family.type for family in families}


def value(values, name, **labels):
    return values[name, frozenset(labels.items())]


@pytest.fixture(scope="module")
def measured(pomona, sample_tree, tmp_path_factory):
    """(text of the metrics, run_info) of a run of the sample tree with some bad files."""
    folder = tmp_path_factory.mktemp("measured")
    tree = folder / 'a "tree" \\ of\nlines'
    shutil.copytree(sample_tree, tree)
    kiwi = tree / "Training/Kiwi"
    (kiwi / "bad.jpg").write_bytes(b"no image")
    (kiwi / "bad.png").write_bytes(b"no image")
    (kiwi / "empty.jpg").write_bytes(b"")
    (kiwi / "notes.txt").write_text("a note")
    file = folder / "fruits.prom"
    job = [pomona, "run", tree, folder / "out", "--run-id", "r", "--pca-components", "3"]
    subprocess.run([*job, "--metrics", file], check=True, capture_output=True)
    info = json.loads((folder / "out/run_info/run_info_r/part-00000.json").read_text())
    return file.read_text(), info


def test_metrics_are_what_run_info_says(measured):
    text, info = measured
    values, types = parse(text)
    same = {
        "pomona_items_listed_total": info["counts"]["listed"],
        "pomona_items_done_total": info["counts"]["listed"],
        "pomona_images_total": info["counts"]["rows"],
        "pomona_items_resumed_total": 0,
        "pomona_read_bytes_total": info["read_bytes"],
        "pomona_image_seconds_count": info["image_seconds"]["images"],
        "pomona_run_success": 1,
    }
    for name, expected in same.items():
        assert value(values, name) == expected, name
    for name in ("read", "decode", "resize", "infer"):
        total = value(values, f"pomona_{name}_seconds_sum")
        assert total == pytest.approx(info["worker_seconds"][name], rel=1e-6), name
        assert types[f"pomona_{name}_seconds"] == "histogram"
        buckets = [
            (float(dict(labels)["le"]), count)
            for (sample, labels), count in values.items()
            if sample == f"pomona_{name}_seconds_bucket"
        ]
        assert buckets == sorted(buckets) and buckets[-1][0] == float("inf")
        assert [count for _, count in buckets] == sorted(count for _, count in buckets)
        assert buckets[-1][1] == value(values, f"pomona_{name}_seconds_count")
    assert info["rejects_by_reason"] == {"corrupt": 2, "empty": 1}
    for (sample, labels), count in values.items():
        if sample == "pomona_rejects_total":
            assert count == info["rejects_by_reason"].get(dict(labels)["reason"], 0)
    assert value(values, "pomona_skips_total", reason="not_an_image") == 1
    start, update, end = (
        value(values, f"pomona_run_{name}_timestamp_seconds") for name in ("start", "update", "end")
    )
    assert time.time() - 3600 < start <= end <= update <= time.time()
    read_bytes = value(values, "pomona_read_bytes_total")
    assert read_bytes == info["read_bytes"] > 100 * info["counts"]["rows"]


def test_names_are_escaped(measured):
    text, info = measured
    values, _ = parse(text)
    (labels,) = [dict(labels) for name, labels in values if name == "pomona_run_info"]
    assert labels["input"].endswith('a "tree" \\ of\nlines')
    assert labels["version"] == info["versions"]["pomona"]


def test_promtool_has_nothing_to_say(measured, promtool):
    text, _ = measured
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_alerts(promtool):
    for arguments in (["check", "rules", "alerts.yaml"], ["test", "rules", "alerts_test.yaml"]):
        done = subprocess.run(
            [promtool, *arguments], cwd=MONITORING, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_asked_for_exists(measured):
    """Each metric that a panel, an alert or the docs name is in a run's file, and the other way."""
    text, _ = measured
    values, types = parse(text)
    samples = {name for name, _ in values}
    board = json.loads((MONITORING / "dashboard.json").read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    queries += [variable["query"] for variable in board["templating"]["list"]]
    assert len(queries) > 10
    asked = set(re.findall(r"pomona_\w+", " ".join(queries)))
    asked |= set(re.findall(r"pomona_\w+", (MONITORING / "alerts.yaml").read_text()))
    assert asked and asked <= samples, asked - samples

    told = {re.sub("_(bucket|sum|count)$", "", name) for name in samples}
    table = re.findall(r"^\| `(pomona_\w+)` \| (\w+)", (ROOT / "docs/metrics.md").read_text(), re.M)
    assert {name for name, _ in table} == told
    for name, kind in table:  # the parser takes counters' suffix off
        assert types[name.removesuffix("_total")] == kind, name


def test_a_run_that_is_stopped_says_so(pomona, sample_tree, tmp_path):
    file = tmp_path / "pomona.prom"
    job = [pomona, "run", sample_tree, tmp_path / "out", "--threads", "1", "--metrics", file]
    with subprocess.Popen(job, stderr=subprocess.PIPE, text=True) as process:
        while not (tmp_path / "out/_pomona/fragments").is_dir():
            assert process.poll() is None
            time.sleep(0.01)
        running, _ = parse(file.read_text())
        process.send_signal(signal.SIGTERM)
        process.communicate()
    stopped, _ = parse(file.read_text())
    assert set(running) == set(stopped)
    for values in (running, stopped):
        assert value(values, "pomona_run_success") == 0
    assert value(running, "pomona_run_end_timestamp_seconds") == 0
    assert value(stopped, "pomona_run_end_timestamp_seconds") > 0
    assert sorted(os.listdir(tmp_path)) == ["out", "pomona.prom"]


def test_python_writes_them_too(sample_tree, tmp_path):
    package = pytest.importorskip("pomona", reason="the package is not installed")
    file = tmp_path / "pomona.prom"
    package.run(sample_tree, tmp_path / "out", limit=9, pca_components=2, metrics=file)
    values, _ = parse(file.read_text())
    assert value(values, "pomona_images_total") == 9
    assert value(values, "pomona_run_success") == 1


def json_lines(text):
    lines = [json.loads(line) for line in text.splitlines()]
    for line in lines:
        assert list(line)[:3] == ["time", "level", "message"]
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
        assert line["level"] in ("info", "warning", "error")
    return lines


def test_logs_in_json(pomona, sample_tree, tmp_path):
    tree = tmp_path / "tr\x1bée"
    shutil.copytree(sample_tree, tree)
    (tree / "Test").mkdir()
    job = [pomona, "run", tree, tmp_path / "out", "--log-format", "json"]
    done = subprocess.run(
        [*job, "--pca-components", "3"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("run 20") and done.stderr.isascii()
    (warning,) = [line for line in json_lines(done.stderr) if line["level"] == "warning"]
    assert "Test" in warning["message"]

    done = subprocess.run(
        [*job, "--pca-components", "500"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert json_lines(done.stderr)[-1]["level"] == "error"

    check = [pomona, "check", tree, "--json", "--log-format", "json", "--max-rejects", "0"]
    (tree / "Training/Kiwi/bad.jpg").write_bytes(b"no image")
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    summary, refused = json_lines(done.stderr)[-2:]
    assert summary["rejects_by_reason"] == {"corrupt": 1} and summary["passed"] is False
    assert (summary["listed"], summary["rows"], summary["skips"]) == (121, 120, 0)
    assert "--max-rejects" in refused["message"]

    done = subprocess.run(
        [pomona, "check", tree, "--log-format", "yaml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and "expected text or json" in done.stderr


def test_progress_in_json(pomona, sample_tree, tmp_path):
    """Enough work for a line of progress, which come every five seconds."""
    tree = tmp_path / "tree"
    for copy in range(12):
        shutil.copytree(sample_tree, tree / str(copy))
    job = [pomona, "run", tree, tmp_path / "out", "--log-format", "json", "--cpu", "scalar"]
    job += ["--threads", "1", "--pca-components", "3"]
    with subprocess.Popen(job, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        for text in process.stderr:
            (line,) = json_lines(text)
            if line["done"] > 0:
                break
        process.kill()
    assert line["level"] == "info" and line["message"].startswith(f"extract {line['done']}/")
    assert line["stage"] == "extract" and line["total"] == 1440
    assert line["rows"] == line["done"] and line["per_second"] > 0
