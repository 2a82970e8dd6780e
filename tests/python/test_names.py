"""Names that files may have come back from every output, in every reader, and from Python."""

import csv
import itertools
import json
import os
import re
import shutil
import subprocess

import duckdb
import pandas as pd
import pyarrow.csv
import pyarrow.parquet
import pytest
from runs import RUN_ID

LABELS = [
    b"comma, and more",
    b'"quoted"',
    b'one "',
    b"new\nline",
    b"carriage\rreturn\r\n",
    b"=1+1",
    b"+1",
    b"-1",
    b"@SUM(A1)",
    b"#comment",
    b" spaces ",
    b"tab\t;|'",
    b"NULL",
    b"NaN",
    b"back\\slash\\",
    b"\\x and \\n and \\xe9",
    b"100%41",
    "Café 北京 🍎 é\u2028".encode(),
    b"b" * 255,
    b"latin-1 caf\xe9",
    b"\xff\xfe\x80",
    b"cut \xe2\x82",
    b"surrogate \xed\xa0\x80",
    b"looks escaped \\xE9 \\x5C \\\\xFF",
    b"label=other",
    b"path=a%2Fb",
    b"\x01\x02\x07\x08 bell",
    b"\x1b]0;title\x07\x1b[31mred",
    b"\x7f delete",
    "C1 \u0085\u009b31m".encode(),
    "\u202eright to left\u202c".encode(),
    "\u2066isolated\u2069 \u200f\u200e".encode(),
    "\u200bzero\u200dwidth\ufeff".encode(),
    "\ufeffbyte order mark".encode(),
    "\u2029 paragraphs \u00a0\u3000".encode(),
    "Pe\u0302che and P\u00eache".encode(),
    "\U0001f469\u200d\U0001f33e \U0010ffff \ufffd \ufffe".encode(),
    b" trailing dots and spaces . . ",
    b"a..b",
    b"~",
    b"$HOME `id` $(id) ${x} && || ; #",
    b"''; DROP TABLE features; --",
    b"{a,b} [a-b] *? !^",
    b"<b>&amp;<b>",
    b"http:??host",
    b"C:\\CON",
    b"''",
    b'""',
    b",",
    b"\n",
    b"\r\n\r\n",
    b"\t",
    b" ",
    b"0",
    b"1e308",
    b"0x1F",
    b"2026-11-28",
    b"true",
    b"None",
    b"NA",
    b"_",
    b"_SUCCESS",
    b"part-00000.csv",
    b"%00%2e%2e%2f",
    b"+ADw-script+AD4-",
    b"\xc0\xae\xc0\xae",
    b"\xf8\x88\x80\x80\x80",
    "\u00e9".encode() * 127,
]


def unescape(text):
    """docs/formats.md, "Names that are not UTF-8"."""
    escaped = rb"\\x([89A-F][0-9A-F]|5C)"
    return re.sub(escaped, lambda found: bytes.fromhex(found[1].decode()), text.encode())


@pytest.fixture(scope="module")
def tree(sample_tree, tmp_path_factory):
    """A picture and a broken one for each label, both of a name like the label's."""
    tree = os.fsencode(tmp_path_factory.mktemp("names"))
    pictures = itertools.cycle(sorted(sample_tree.rglob("*.jpg")))
    for label in LABELS:
        folder = os.path.join(tree, label)
        os.mkdir(folder)
        with open(os.path.join(folder, label[:250] + b".jpg"), "wb") as file:
            file.write(next(pictures).read_bytes())
        with open(os.path.join(folder, b"!" + label[:250] + b".jpg"), "wb") as file:
            file.write(b"broken")
    return tree


@pytest.fixture(scope="module")
def output(run, tree):
    return run(os.fsdecode(tree), "--pca-components", "3")


@pytest.fixture(scope="module")
def expected(tree):
    """(path, label) of the rows, of the rejects."""
    rows = [(os.path.join(tree, label, label[:250] + b".jpg"), label) for label in LABELS]
    rejects = [(os.path.join(tree, label, b"!" + label[:250] + b".jpg"), label) for label in LABELS]
    return sorted(rows), sorted(rejects)


def check(names, expected):
    """Names as a reader gives them, in the outputs' order."""
    names = list(names)
    assert sorted((unescape(path), unescape(label)) for path, label in names) == expected
    texts = [path.encode() for path, _ in names]
    assert texts == sorted(texts)


def part(output, folder, extension="csv"):
    return str(output / f"{folder}_{RUN_ID}" / f"part-00000.{extension}")


def read_python(path):
    with open(path, encoding="utf-8", newline="") as file:
        return [row[:2] for row in csv.reader(file, strict=True)][1:]


def read_pandas(path):
    frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    return frame[["path", "label"]].itertuples(index=False, name=None)


def read_pyarrow(path):
    table = pyarrow.csv.read_csv(
        path,
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(strings_can_be_null=False),
    )
    return zip(table["path"].to_pylist(), table["label"].to_pylist(), strict=True)


def read_duckdb(path):
    options = "all_varchar=true, header=true, delim=',', quote='\"', escape='\"', comment=''"
    return duckdb.sql(f"SELECT path, label FROM read_csv('{path}', {options})").fetchall()


CSV_READERS = [read_python, read_pandas, read_pyarrow, read_duckdb]


@pytest.mark.parametrize("read", CSV_READERS, ids=lambda read: read.__name__)
def test_csv(output, expected, read):
    rows, rejects = expected
    for folder in ["features/csv/features", "pca/csv/pca", "metadata/metadata"]:
        check(read(part(output, folder)), rows)
    check(read(part(output, "errors/errors")), rejects)


def test_csv_in_spark(output, expected, spark):
    rows, rejects = expected
    reader = spark.read.options(header=True, multiLine=True, escape='"', lineSep="\n")
    for folder, names in [("metadata/metadata", rows), ("errors/errors", rejects)]:
        frame = reader.csv(part(output, folder)).select("path", "label")
        check([tuple(row) for row in frame.collect()], names)


def test_parquet(output, expected, spark):
    for folder in ["features/parquet/features", "pca/parquet/pca"]:
        path = part(output, folder, "parquet")
        table = pyarrow.parquet.read_table(path)
        table.validate(full=True)  # that strings are UTF-8, too
        check(zip(table["path"].to_pylist(), table["label"].to_pylist(), strict=True), expected[0])
        check(duckdb.sql(f"SELECT path, label FROM '{path}'").fetchall(), expected[0])
        frame = spark.read.parquet(path).select("path", "label")
        check([tuple(row) for row in frame.collect()], expected[0])


def test_check_json(pomona, tree, expected):
    done = subprocess.run([pomona, "check", tree, "--json"], capture_output=True, check=True)
    lines = [json.loads(line) for line in done.stdout.decode().strip().split("\n")]
    for verdict, names in zip(["ok", "reject"], expected, strict=True):
        check([(it["path"], it["label"]) for it in lines if it["verdict"] == verdict], names)


def test_check_prints_one_line_a_file(pomona, tree):
    done = subprocess.run([pomona, "check", tree], capture_output=True, check=True)
    assert done.stdout.count(b"\n") == 2 * len(LABELS) + 1
    done.stdout.decode()


def test_globs_see_names_as_the_outputs_have_them(run, tree):
    globs = ["--include", r"*\\xE9/*", "--include", r"*\\xFF\\xFE*", "--exclude", "*!*"]
    output = run(os.fsdecode(tree), "--pca-components", "1", *globs)
    names = read_python(part(output, "metadata/metadata"))
    assert [label for _, label in names] == [r"\xFF\xFE\x80", r"latin-1 caf\xE9"]


def test_python_gives_the_same_names(output, tree, expected):
    pomona = pytest.importorskip("pomona")
    paths = [path for path, _ in expected[0]]
    images = [os.fsdecode(path) for path in paths]
    table = pomona.Extractor().extract(images)
    names = zip(table["path"].to_pylist(), table["label"].to_pylist(), strict=True)
    of_run = [tuple(row) for row in read_python(part(output, "metadata/metadata"))]
    assert sorted(names) == sorted(of_run)


def test_python_takes_paths_that_are_no_utf8(sample_tree, tmp_path):
    pomona = pytest.importorskip("pomona")
    strange = tmp_path / os.fsdecode(b"\xff")
    shutil.copytree(sample_tree, strange / "in")
    output = strange / "out"
    done = pomona.run(strange / "in", output, pca_components=2, limit=8, report="none")
    assert pomona.check(strange / "in", junit=strange / "junit.xml").rows > 8
    assert (strange / "junit.xml").exists()
    assert pomona.audit(output).folders and len(pomona.Index(output)) == 8
    found = pomona.Run(output)
    assert (found.output, len(found.features())) == (str(output), 8) == (done.output, 8)

    pca = pomona.PCA(2).fit(found.features()["features"])
    pca.save(strange / "pca")
    assert pomona.PCA.load(str(strange / "pca")).to_bytes() == pca.to_bytes()
    assert pomona._core.RunOptions(cache=strange, weights=str(strange)).cache == str(strange)
    missing = str(strange / "none")
    for call in (pomona.Extractor, pomona.PCA.load, pomona.check):
        with pytest.raises(FileNotFoundError, match=re.escape(missing)):
            call(missing)
    with pytest.raises(FileNotFoundError):
        pomona.run(missing, output, weights=missing)
    (strange / "in" / "Training" / "broken.jpg").write_bytes(b"broken")
    with pytest.raises(pomona.TooManyRejects):
        pomona.run(strange / "in", output, max_rejects=0, pca_components=2)
    pomona.delete(output, found.run_id)
