"""pomona audit against scikit-learn, numpy and planted truth."""

import csv
import fcntl
import json
import shutil
import subprocess

import numpy as np
import pomona
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from pomona import audit
from runs import RUN_ID


def table(output, name):
    return pq.read_table(output / f"audit/{name}/parquet/{name}_{RUN_ID}")


def features_of(output):
    column = pq.read_table(output / f"features/parquet/features_{RUN_ID}")["features"]
    return column.combine_chunks().flatten().to_numpy().reshape(len(column), -1)


def unit_rows(features):
    rows = features.astype(np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("near", [0.995, 0.98, 0.95, 0.871])
def test_pairs_and_groups_are_scikit_learns(fruits, near):
    from scipy.sparse.csgraph import connected_components
    from sklearn.neighbors import NearestNeighbors

    rows = unit_rows(features_of(fruits))
    radius = np.sqrt(2 - 2 * near)
    index = NearestNeighbors(radius=radius, algorithm="brute").fit(rows)
    graph = index.radius_neighbors_graph(mode="connectivity")

    pairs = pomona.near_pairs(features_of(fruits), near)
    found = np.stack([pairs["a"].to_numpy(), pairs["b"].to_numpy()], axis=1)
    upper = np.transpose(np.triu(graph.toarray(), 1).nonzero())
    np.testing.assert_array_equal(found, upper)
    exact = np.einsum("ij,ij->i", rows[found[:, 0]], rows[found[:, 1]])
    np.testing.assert_allclose(pairs["cosine"].to_numpy(), exact, rtol=0, atol=1e-12)

    summary = pomona.audit(fruits, near=near)
    count, component = connected_components(graph, directed=False)
    sizes = np.bincount(component, minlength=count)
    assert summary.groups == (sizes > 1).sum()
    duplicates = table(fruits, "duplicates")
    assert summary.duplicates == len(duplicates) == sizes[sizes > 1].sum()
    path = pq.read_table(fruits / f"features/parquet/features_{RUN_ID}")["path"].to_pylist()
    place = {name: row for row, name in enumerate(path)}
    members = [place[name] for name in duplicates["path"].to_pylist()]
    first = [place[name] for name in duplicates["representative"].to_pylist()]
    assert all(component[a] == component[b] for a, b in zip(members, first, strict=True))
    assert first == [int(np.flatnonzero(component == component[row])[0]) for row in members]
    distances = 1 - np.einsum("ij,ij->i", rows[members], rows[first])
    np.testing.assert_allclose(duplicates["distance"].to_numpy(), distances, rtol=0, atol=1e-12)


def test_outliers_are_those_that_numpy_finds(fruits):
    pomona.audit(fruits)
    outliers = table(fruits, "outliers")
    model = pomona.PCA.load(fruits / f"model_info/pca_model_{RUN_ID}/part-00000.safetensors")
    centred = features_of(fruits).astype(np.float64) - model.mean_
    scores = centred @ model.components_.T
    distance = np.sqrt((scores**2 / model.explained_variance_).sum(axis=1))
    residual = np.linalg.norm(centred - scores @ model.components_, axis=1)
    np.testing.assert_allclose(outliers["mahalanobis"].to_numpy(), distance, rtol=1e-9)
    np.testing.assert_allclose(outliers["residual"].to_numpy(), residual, rtol=1e-9)

    def excess(values):
        first, third = np.quantile(values, [0.25, 0.75], method="inverted_cdf")
        return np.maximum(0, values - third) / (third - first)

    score = 1 / (1 + np.maximum(excess(residual), excess(distance)))
    np.testing.assert_allclose(outliers["outlier_score"].to_numpy(), score, rtol=1e-7)
    issue = outliers["is_outlier_issue"].to_numpy()
    np.testing.assert_array_equal(issue, outliers["outlier_score"].to_numpy() < 0.25)


def test_csv_and_parquet_hold_the_same(fruits):
    pomona.audit(fruits, near=0.99)
    for name in ("duplicates", "split_leaks", "outliers", "label_issues"):
        parquet = table(fruits, name)
        text = pyarrow.csv.read_csv(
            fruits / f"audit/{name}/{name}_{RUN_ID}/part-00000.csv",
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=parquet.schema, strings_can_be_null=False
            ),
        )
        assert text.equals(parquet.replace_schema_metadata())


@pytest.fixture(scope="module")
def planted(data, run, tmp_path_factory):
    """Of a turning fruit some frames, far apart; beside them what was done to some of these."""
    from PIL import Image, ImageEnhance

    tree = tmp_path_factory.mktemp("planted") / "tree"
    kept = []
    for label in sorted((data / "fruits/Training").iterdir()):
        frames = sorted(label.iterdir(), key=lambda file: (len(file.name), file.name))[::10]
        for file in frames:
            copy = tree / "train" / label.name / file.name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
            kept.append(copy)
    assert len(kept) > 150

    def plant(source, name, image=None, **how):
        file = tree / "test" / source.parent.name / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if image is None:
            shutil.copyfile(source, file)
        else:
            image.save(file, **how)

    opened = Image.open(kept[3])
    plant(kept[0], "copied.jpg")
    plant(kept[3], "darker.png", ImageEnhance.Brightness(opened).enhance(0.9))
    plant(kept[3], "stored.png", opened)
    plant(kept[6], "larger.png", Image.open(kept[6]).resize((200, 200), Image.Resampling.LANCZOS))
    wrong = tree / "train" / "Lemon" / "wrong.jpg"
    shutil.copyfile(data / "fruits/Training/Raspberry/12_100.jpg", wrong)
    return run(tree)


def test_planted_duplicates_leak_and_a_wrong_label_shows(planted):
    output = planted
    summary = pomona.audit(output)
    leaks = table(output, "split_leaks").to_pylist()
    found = {row["path"].rsplit("/", 1)[1]: row for row in leaks if row["split"] == "test"}
    assert found["copied.jpg"]["kind"] == "same_bytes"
    for name in ("darker.png", "stored.png", "larger.png"):
        assert found[name]["kind"] == "near", name
    assert len(found) == 4
    assert summary.same_bytes == 2

    issues = table(output, "label_issues").to_pylist()
    (wrong,) = [row for row in issues if row["path"].endswith("/wrong.jpg")]
    assert wrong["is_label_issue"]
    assert wrong["suggested_label"] == wrong["nearest_label"] == "Raspberry"
    assert wrong["label_score"] == min(row["label_score"] for row in issues)


def test_one_split_rule_needs_no_list(planted):
    summary = pomona.audit(planted, split="*=test")
    assert summary.split_leaks == 0
    assert table(planted, "duplicates").num_rows == summary.duplicates > 0
    with pytest.raises(ValueError, match="nonsense"):
        pomona.audit(planted, split="nonsense")


@pytest.mark.parametrize(
    ("label", "agreement", "empty"),
    [
        ("kiwi", [1, 1, 1], {"nearest_label", "nearest_label_distance"}),
        ("plum", [0.5, 0.5, None], {"neighbour_agreement"}),
    ],
)
def test_what_cannot_be_said_of_a_label_is_empty(pomona, run, tmp_path, label, agreement, empty):
    from PIL import Image

    for i, folder in enumerate(["kiwi", "kiwi", label]):
        (tmp_path / folder).mkdir(exist_ok=True)
        Image.new("RGB", (9, 9), (90 * i, 30, 200)).save(tmp_path / folder / f"{i}.png")
    output = run(tmp_path, "--pca-components", "2", "--report", "none")
    subprocess.run([pomona, "audit", output], check=True, capture_output=True)
    rows = table(output, "label_issues").to_pylist()
    assert [row["neighbour_agreement"] for row in rows] == agreement
    text = output / f"audit/label_issues/label_issues_{RUN_ID}/part-00000.csv"
    for last in rows[-1], list(csv.DictReader(text.open()))[-1]:
        assert {name for name, value in last.items() if value in (None, "")} == empty


def test_the_program_says_what_it_found(pomona, planted):
    output = planted
    done = subprocess.run(
        [pomona, "audit", output, "--split", "train/*=a", "--split", "test/*=b"],
        capture_output=True,
        text=True,
        check=True,
    )
    info = json.loads((output / f"audit/run_info/run_info_{RUN_ID}/part-00000.json").read_text())
    assert info["options"]["split"] == ["train/*=a", "test/*=b"]
    counts = info["counts"]
    assert f"{counts['groups']} groups of duplicates: {counts['duplicates']} images" in done.stdout
    assert f", {counts['split_leaks']} in more than one split\n" in done.stdout
    assert "no image matches" not in done.stdout
    assert {row["split"] for row in table(output, "split_leaks").to_pylist()} == {"a", "b"}
    page = output / "page.html"
    subprocess.run([pomona, "report", output, "--output", page], check=True)
    assert "Duplicates in several parts of the data set" in page.read_text(encoding="utf-8")
    page.unlink()
    verified = subprocess.run([pomona, "verify", output], capture_output=True, check=False)
    assert verified.returncode == 0, verified.stdout
    for rule, cause in {"train": "expected GLOB=NAME", "[=x": "its [ is not closed"}.items():
        mistaken = subprocess.run(
            [pomona, "audit", output, "--split", rule], capture_output=True, text=True, check=False
        )
        assert mistaken.returncode == 2
        assert f"pomona: split: '{rule}': {cause}" in mistaken.stderr


def test_the_program_says_what_tells_nothing(pomona, run, sample_tree):
    output = run(sample_tree, "--pca-components", "4")

    def audited(*options):
        job = [pomona, "audit", output, *options]
        return subprocess.run(job, capture_output=True, text=True, check=True).stdout.splitlines()

    few = (
        "labels with 2 to 10 images: 12 of 12; with more than 9 neighbours their label issues mean "
    )
    few += "little"
    lines = audited("--split", "nothere/*=train")
    assert lines[1].endswith(", no splits to compare")
    assert lines[4:6] == ["no image matches the split 'nothere/*=train'", few]
    assert not [line for line in audited("--neighbours", "9") if "mean little" in line]
    summary = audit(output, split="nothere/*=train")
    assert (summary.splits, summary.notes) == (0, lines[4:6])


def test_what_a_run_lacks_is_named(pomona, run, sample_tree):
    output = run(sample_tree, "--pca-components", "4", "--formats", "parquet")

    def refused(*command):
        done = subprocess.run([pomona, *command], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        return done.stderr

    part = output / f"features/parquet/features_{RUN_ID}/part-00000.parquet"
    bytes_of = part.read_bytes()
    part.unlink()
    assert f"cannot read {part}: " in refused("audit", output)
    part.write_bytes(bytes_of)
    # As the job on Hadoop's file systems leaves it.
    info = output / f"run_info/run_info_{RUN_ID}"
    for path in [info / "_SHA256SUMS", *info.glob("_items*")]:
        path.unlink()
    query = next(sample_tree.rglob("*.jpg"))
    for command in (["audit", output], ["neighbours", output, "--image", query]):
        assert f"pomona: {info}: has no record of its images" in refused(*command)


def test_pairs_of_arrow_and_of_nothing():
    rows = np.array([[1, 0], [2, 0], [0, 1], [0, 0], [0, 0]], np.float32)
    pairs = pomona.near_pairs(pyarrow.array(rows.tolist(), pyarrow.list_(pyarrow.float32())), 0.9)
    assert pairs.to_pylist() == [{"a": 0, "b": 1, "cosine": 1.0}]
    assert pomona.near_pairs(np.zeros((0, 4), np.float32), 0.9).num_rows == 0
    with pytest.raises(ValueError, match="cosine"):
        pomona.near_pairs(rows, 1.5)
    with pytest.raises(ValueError, match="threads"):
        pomona.near_pairs(rows, 0.9, threads=-1)


def test_pairs_of_two_sets(fruits):
    """Every other row with those between."""
    rows = features_of(fruits)
    pairs = pomona.near_pairs(rows[::2], 0.98, rows[1::2])
    unit = unit_rows(rows)
    expected = np.transpose((unit[::2] @ unit[1::2].T >= 0.98).nonzero())
    assert len(expected) > 100
    found = np.stack([pairs["a"].to_numpy(), pairs["b"].to_numpy()], axis=1)
    np.testing.assert_array_equal(found, expected)
    cosine = {(p["a"], p["b"]): p["cosine"] for p in pomona.near_pairs(rows, 0.98).to_pylist()}
    for pair in pairs.to_pylist():
        first, second = sorted((2 * pair["a"], 2 * pair["b"] + 1))
        assert pair["cosine"] == cosine[first, second]


def test_two_sets_that_do_not_fit():
    rows = np.eye(3, dtype=np.float32)
    assert pomona.near_pairs(rows, 0.9, []).num_rows == 0
    assert pomona.near_pairs([], 0.9, rows).num_rows == 0
    with pytest.raises(ValueError, match="others: the vectors differ in length"):
        pomona.near_pairs(rows, 0.9, rows[:, :2])
    with pytest.raises(ValueError, match="others: the vectors differ in length"):
        pomona.near_pairs(np.zeros((0, 5), np.float32), 0.9, rows)
    with pytest.raises(ValueError, match="others: row 1 holds NaN"):
        pomona.near_pairs(rows, 0.9, [[1, 0, 0], [np.nan, 0, 0]])


def run_and_audit(program, tree, output, *options):
    return subprocess.run(
        [program, "run", tree, output, "--pca-components", "5", "--run-id", RUN_ID, *options],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_run_is_audited_after_it(pomona, sample_tree, tmp_path):
    done = run_and_audit(pomona, sample_tree, tmp_path / "out", "--audit")
    assert done.returncode == 0, done.stderr
    alone = subprocess.run(
        [pomona, "audit", tmp_path / "out"], capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith(alone.stdout)
    quiet = run_and_audit(pomona, sample_tree, tmp_path / "quiet", "--audit", "--quiet")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")
    assert table(tmp_path / "quiet", "outliers").equals(table(tmp_path / "out", "outliers"))


def test_a_run_whose_audit_fails_stays_published(pomona, sample_tree, tmp_path):
    output = tmp_path / "out"
    output.mkdir()
    (output / "audit").write_text("in its way")
    done = run_and_audit(pomona, sample_tree, output, "--audit")
    assert done.returncode == 5
    assert f"the run {RUN_ID} is published, but was not audited: " in done.stderr
    assert f"`pomona audit OUTPUT --run-id {RUN_ID}` does it" in done.stderr
    verified = subprocess.run([pomona, "verify", output], capture_output=True, check=False)
    assert verified.returncode == 0, verified.stdout
    # What is not published is not audited.
    more = ["--audit", "--max-rejects", "0", "--fresh"]
    (tree := tmp_path / "tree/a").mkdir(parents=True)
    (tree / "bad.jpg").write_bytes(b"\xff\xd8\xff")
    for image in sorted(sample_tree.rglob("*.jpg"))[:9]:
        shutil.copy(image, tree)
    done = run_and_audit(pomona, tree.parent, tmp_path / "none", *more)
    assert done.returncode == 3
    assert not (tmp_path / "none/audit").exists()


def test_a_run_whose_audit_has_to_wait_for_another_stays_published(pomona, sample_tree, tmp_path):
    output = tmp_path / "out"
    (output / "audit/_pomona").mkdir(parents=True)
    with (output / "audit/_pomona/lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = run_and_audit(pomona, sample_tree, output, "--audit")
    assert done.returncode == 5, done.stderr
    assert f"the run {RUN_ID} is published, but was not audited: " in done.stderr


def test_in_python_it_stays_published_too(sample_tree, tmp_path):
    (output := tmp_path / "out").mkdir()
    (output / "audit").touch()
    with pytest.raises(ValueError, match="no folder") as raised:
        pomona.run(sample_tree, output, run_id="a", pca_components=5, audit=True)
    assert raised.value.__notes__[0].startswith("The run a is published, but was not audited")
    assert [run.run_id for run in pomona.runs(output)] == ["a"]
    with pytest.raises(ValueError, match="not with shard"):
        pomona.run(sample_tree, output, run_id="b", shard="1/2", audit=True)


def test_shards_are_audited_after_the_last(pomona, sample_tree, tmp_path):
    done = run_and_audit(pomona, sample_tree, tmp_path / "out", "--audit", "--shard", "1/2")
    assert done.returncode == 2
    assert "not with --shard" in done.stderr
    assert not (tmp_path / "out").exists()


def test_in_python_a_runs_audit_is_its_summarys(sample_tree, tmp_path):
    summary = pomona.run(sample_tree, tmp_path / "out", pca_components=5, audit=True)
    again = pomona.audit(tmp_path / "out")
    assert repr(summary.audit) == repr(again)
    assert pomona.run(sample_tree, tmp_path / "out", pca_components=5).audit is None
