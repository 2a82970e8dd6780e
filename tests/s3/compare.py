"""A run of a tree on S3 against the run of the same tree from local disk."""

import pyarrow.parquet


def files(output):
    """The run's files by their path below the output."""
    return {
        str(path.relative_to(output)): path.read_bytes()
        for path in sorted(output.rglob("*"))
        if path.is_file() and "_pomona" not in path.parts
    }


def assert_same(output, local_output, root, local_root):
    """The same bytes but for paths, run_info and the report, whose pictures are chosen by paths;
    Parquet, which compresses them, row by row."""
    made, expected = files(output), files(local_output)
    assert made.keys() == expected.keys()
    assert len(made) > 10
    for name, content in expected.items():
        if name.startswith(("run_info", "report")) or "checksums" in name.lower():
            continue
        if name.endswith(".parquet") and "spark_pca" not in name:
            assert_same_table(output / name, local_output / name, root, local_root)
        else:
            moved = content.replace(str(local_root).encode(), root.encode())
            assert made[name] == moved, name


def assert_same_table(path, local_path, root, local_root):
    table, local = pyarrow.parquet.read_table(path), pyarrow.parquet.read_table(local_path)
    assert table.schema.equals(local.schema, check_metadata=True)
    moved = [text.replace(str(local_root), root) for text in local["path"].to_pylist()]
    assert table["path"].to_pylist() == moved
    assert table.drop_columns("path").equals(local.drop_columns("path"))
