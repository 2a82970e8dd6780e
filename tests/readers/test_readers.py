"""Who reads the tables of an output, and as what: docs/readers.md says what these tests see.

`pytest tests/readers --accept` writes there what it sees, by readers that are installed (-m "").
"""

import csv
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import servers

HERE = pathlib.Path(__file__).parent
PAGE = HERE.parents[1] / "docs/readers.md"

# What runs read_tables.py, and the package that it reads by.
OWN = "POMONA_RECIPES_PYTHON"
LARGE = "POMONA_RECIPES_LONG_PYTHON"
PACKAGES = {
    "pyarrow": (None, "pyarrow"),
    "pandas": (None, "pandas"),
    "polars": (None, "polars"),
    "DuckDB": (None, "duckdb"),
    "datasets": (None, "datasets"),
    "LanceDB": (OWN, "lancedb"),
    "Spark 3.5": (None, "pyspark"),
    "Spark 4.1": ("POMONA_SPARK4_PYTHON", "pyspark"),
    "Daft": (LARGE, "daft"),
    "DataFusion": (LARGE, "datafusion"),
    "chdb": (LARGE, "chdb"),
    "fastparquet": (LARGE, "fastparquet"),
}
QUICK = {"pyarrow", "pandas", "polars", "DuckDB", "datasets", "LanceDB"}

# Where a table lies, as the page calls it.
TABLES = {
    "features": "features/parquet/features_fixed",
    "features, `list`": "features/parquet/features_list",
    "pca": "pca/parquet/pca_fixed",
    "pca, `spark`": "pca/parquet/pca_spark",
    "images": "metadata/parquet/metadata_fixed",
    "errors": "errors/parquet/errors_fixed",
}


@pytest.fixture(scope="module")
def place(pomona, tmp_path_factory):
    """A folder with the tree `fruits` and the output `out` of three runs."""
    import PIL.Image

    place = tmp_path_factory.mktemp("readers")
    subprocess.run([pomona, "sample", "fruits", "--images", "60"], cwd=place, check=True)
    odd = place / "fruits/Training/odd"
    odd.mkdir()
    PIL.Image.new("L", (40, 30)).save(odd / "gray.png")
    (odd / "empty.jpg").touch()
    (odd / "cut.png").write_bytes((odd / "gray.png").read_bytes()[:50])
    for vectors in ("fixed", "list", "spark"):
        command = [pomona, "run", "fruits", "out", "--quiet", "--run-id", vectors]
        subprocess.run([*command, "--vectors", vectors], cwd=place, check=True)
    return place


def read_csv(folder):
    """The columns of what the run wrote as text."""
    csv.field_size_limit(1 << 30)
    (part,) = folder.glob("part-*.csv")
    with open(part, newline="", encoding="utf-8") as file:
        names, *rows = csv.reader(file)
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))


def expected_vectors(folder):
    columns = read_csv(pathlib.Path(str(folder).replace("parquet", "csv")))
    (name,) = columns.keys() - {"path", "label"}
    texts = columns.pop(name)
    vectors = np.array([text.split(",") for text in texts], "float32")
    return columns | {name.removesuffix("_string"): vectors}


def expected_images(out):
    import PIL.Image

    paths = read_csv(out / "metadata/metadata_fixed")["path"]
    root = out.parent / "fruits/Training"
    rows = []
    for i, path in enumerate(map(pathlib.Path, paths)):
        with PIL.Image.open(path) as image:
            row = [i, str(path), str(path.relative_to(root)), path.parent.name]
            row += [path.stat().st_size, *image.size, image.format, image.mode]
        row.append(hashlib.sha256(path.read_bytes()).hexdigest())
        rows.append(row)
    names = "id path relative_path label size width height format mode content_sha256".split()
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))


def expected_errors(out):
    columns = read_csv(out / "errors/errors_fixed")
    paths = [pathlib.Path(path) for path in columns["path"]]
    root = out.parent / "fruits/Training"
    columns["relative_path"] = [str(path.relative_to(root)) for path in paths]
    columns["size"] = [path.stat().st_size for path in paths]
    return columns


@pytest.fixture(scope="module")
def expected(place):
    """What each table holds, by what no reader of Parquet had a part in."""
    out = place / "out"
    others = {"images": expected_images(out), "errors": expected_errors(out)}
    return others | {
        name: expected_vectors(out / folder)
        for name, folder in TABLES.items()
        if name not in others
    }


def by_package(place, variable, package):
    """read_tables.py's version and tables."""
    python = shutil.which(os.environ.get(variable, "") if variable else sys.executable)
    if not python:
        return pytest.skip(f"{variable} does not name a Python with {package}")
    alone = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(place / "hub"), "SPARK_LOCAL_IP": "127.0.0.1"}
    folders = [place / "out" / folder for folder in TABLES.values()]
    done = subprocess.run(
        [python, HERE / "read_tables.py", package, *folders],
        cwd=place,
        env=os.environ | alone,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    seen = json.loads(done.stdout)
    return seen["version"], seen["tables"]


def run_json(command, folder):
    done = subprocess.run([*command, folder], stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def by_hyparquet(place):
    program = servers.need(servers.tools() / "readers/hyparquet.js", "`make test-long` installs it")
    (version,) = re.findall(r'"hyparquet": "(.*?)"', (HERE / "package.json").read_text())
    return version, [run_json(["node", program], place / "out" / path) for path in TABLES.values()]


def by_parquet_go(place):
    program = servers.need(servers.tools() / "parquet_go", "`make test-long` builds it")
    (version,) = re.findall(r"parquet-go v(.*)", (HERE / "parquet_go/go.mod").read_text())
    return version, [run_json([program], place / "out" / path) for path in TABLES.values()]


def by_parquet_avro(place):
    """By ParquetAvro.java, which prints Avro's schema, and a record a line."""
    classes = servers.class_path("parquet-avro")
    (version,) = re.findall(r"parquet-avro-([\d.]+)\.jar", classes)
    compiled = servers.need(
        servers.tools() / "readers/ParquetAvro.class", "`make test-long` makes it"
    )
    path = f"{compiled.parent}:{classes}"
    java = [servers.java()[1], *servers.JAVA_OPTIONS, "-cp", path, "ParquetAvro"]

    def read(folder):
        done = subprocess.run([*java, folder], stdout=subprocess.PIPE, check=True)
        schema, *rows = map(json.loads, done.stdout.splitlines())
        return {
            field["name"]: (json.dumps(field["type"]), [row[field["name"]] for row in rows])
            for field in schema["fields"]
        }

    return version, [read(place / "out" / path) for path in TABLES.values()]


PROGRAMS = {
    "hyparquet": by_hyparquet,
    "parquet-go": by_parquet_go,
    "parquet-avro": by_parquet_avro,
}


def is_equal(values, right):
    if isinstance(right, np.ndarray):
        # Spark's vector is a structure to others.
        values = [value["values"] if isinstance(value, dict) else value for value in values]
        return np.array_equal(np.array(values, "float32"), right)
    return values == right


def row(title, version, table, seen, right):
    """A line of the page."""
    (rows,) = {len(values) for _, values in seen.values()}
    absent = right.keys() - seen.keys()
    shown = [name for name in right if isinstance(right[name], np.ndarray)] or right
    kinds = dict.fromkeys(seen[name][0] for name in shown) if not absent else seen
    words = re.sub(r"[\s`]+", " ", ", ".join(map(str, kinds))).replace("|", r"\|")
    equal = not absent and all(is_equal(seen[name][1], values) for name, values in right.items())
    cells = [title, version, table, str(rows), f"`{words}`", "yes" if equal else "no"]
    return f"| {' | '.join(cells)} |\n"


def page():
    """The page up to its rows, and these by their readers."""
    head, rule, rest = re.split(
        r"^(\|(?: --- \|)+\n)", PAGE.read_text(encoding="utf-8"), flags=re.M
    )
    rows: dict[str, list[str]] = {}
    for line in rest.splitlines(keepends=True):
        rows.setdefault(line.split("|")[1].strip(), []).append(line)
    return head + rule, rows


@pytest.mark.parametrize(
    "title",
    [
        pytest.param(title, marks=() if title in QUICK else pytest.mark.long)
        for title in [*PACKAGES, *PROGRAMS]
    ],
)
def test_reader(title, place, expected, request):
    if title in PROGRAMS:
        version, tables = PROGRAMS[title](place)
    else:
        version, tables = by_package(place, *PACKAGES[title])
    seen = [
        row(title, version, name, table, expected[name])
        for name, table in zip(TABLES, tables, strict=True)
    ]
    head, rows = page()
    if request.config.getoption("--accept"):
        rows[title] = seen
        order = [line for title in [*PACKAGES, *PROGRAMS] for line in rows.get(title, [])]
        PAGE.write_text(head + "".join(order), encoding="utf-8")
    assert rows.get(title) == seen
