"""`pomona audit` of a run on S3: its tables are those of the same run in a folder."""

OPTIONS = ["--progress", "none", "--pca-components", "10", "--run-id", "r", "--report", "none"]
AUDIT = ["--near", "0.9"]


def audits(bucket, output):
    """The bytes of the tables by their paths below the output."""
    return {
        key.removeprefix(f"{output}/"): bucket.get(key)
        for key in bucket.keys(f"{output}/audit")
        if "/run_info/" not in key
    }


def test_audit(sample_bucket, cache, tmp_path):
    bucket = sample_bucket
    done = bucket.run("run", bucket.url("in"), bucket.url("audited"), *OPTIONS)
    assert done.returncode == 0, done.stderr
    keys = bucket.keys("audited")
    done = bucket.run("audit", bucket.url("audited"), *AUDIT)
    assert done.returncode == 0, done.stderr
    assert "120 images" in done.stdout
    found = audits(bucket, "audited")
    tables = {"duplicates", "split_leaks", "outliers", "label_issues", "image_issues"}
    assert {path.split("/")[1] for path in found} == tables
    assert len(found) == 4 * len(tables)  # a part and its _SUCCESS, of either format
    assert not [key for key in bucket.keys("audited") if "/_pomona/" in key]

    bucket.download("audited", tmp_path / "local")
    local = bucket.run("audit", tmp_path / "local", *AUDIT)
    *found_there, place, _ = done.stdout.splitlines()
    assert local.stdout.splitlines()[:-2] == found_there
    assert place == f"written to {bucket.url('audited')}/audit"
    for path, content in found.items():
        assert (tmp_path / "local" / path).read_bytes() == content, path

    # Another one takes its place, and damage to it shows.
    done = bucket.run("audit", bucket.url("audited"), "--near", "1")
    assert done.returncode == 0, done.stderr
    assert audits(bucket, "audited") != found
    assert bucket.run("verify", bucket.url("audited")).returncode == 0
    table = "audited/audit/outliers/outliers_r/part-00000.csv"
    sound = bucket.get(table)
    bucket.put(table, sound[:-1])
    damaged = bucket.run("verify", bucket.url("audited"))
    assert damaged.returncode == 1
    assert f"{bucket.url(table)}: its checksum is wrong" in damaged.stdout
    bucket.put(table, sound)

    done = bucket.run("delete", bucket.url("audited"), "--run-id", "r", "--yes")
    assert done.returncode == 0, done.stderr
    assert not [key for key in bucket.keys("audited") if key in keys or "_r/" in key]


def test_neighbours(sample_bucket, cache, tmp_path):
    bucket = sample_bucket
    done = bucket.run("run", bucket.url("in"), bucket.url("near"), *OPTIONS)
    assert done.returncode == 0, done.stderr
    before = bucket.keys("near")
    bucket.download("near", tmp_path / "local")
    published = bucket.url(next(key for key in bucket.keys("in") if key.endswith(".jpg")))
    picture = tmp_path / "picture.jpg"
    picture.write_bytes(bucket.get(bucket.keys("in")[7]))
    for image in (published, picture):
        asked = ["--image", image, "-k", "5"]
        done = bucket.run("neighbours", bucket.url("near"), *asked)
        assert done.returncode == 0, done.stderr
        assert len(done.stdout.splitlines()) == 6
        assert done.stdout == bucket.run("neighbours", tmp_path / "local", *asked).stdout
    assert bucket.keys("near") == before
    done = bucket.run("neighbours", bucket.url("near"), "--image", bucket.url("in/none.jpg"))
    assert done.returncode == 1
    assert "neither the path of an image of the run r" in done.stderr

    done = bucket.run("audit", bucket.url("near"), "--knn", "3")
    assert done.returncode == 0, done.stderr
    assert bucket.run("audit", tmp_path / "local", "--knn", "3").returncode == 0
    table = "audit/neighbours/neighbours_r/part-00000.csv"
    assert bucket.get(f"near/{table}") == (tmp_path / "local" / table).read_bytes()
    done = bucket.run("audit", bucket.url("near"))
    assert done.returncode == 0, done.stderr
    assert not bucket.keys("near/audit/neighbours")
    assert bucket.run("verify", bucket.url("near")).returncode == 0
