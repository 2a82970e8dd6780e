"""What one reader makes of Parquet: `read_tables.py READER FOLDER...`, by a Python that has it.

Prints JSON: {"version": ..., "tables": [{"COLUMN": [type, values], ...}, ...]}, a table for each
folder, types by the reader's own word. Readers in other languages print the table of one folder.
"""

import importlib.metadata
import json
import pathlib
import sys


def of_arrow(table):
    return {field.name: (field.type, table[field.name].to_pylist()) for field in table.schema}


def pyarrow(folder):
    import pyarrow.parquet

    return of_arrow(pyarrow.parquet.read_table(folder))


def of_pandas(frame):
    def kind(column):
        first = column.iloc[0]
        words = type(first).__name__ + (f" of {first.dtype}" if hasattr(first, "dtype") else "")
        return words if column.dtype == object else column.dtype

    return {name: (kind(frame[name]), list(frame[name])) for name in frame}


def pandas(folder):
    import pandas

    return of_pandas(pandas.read_parquet(folder))


def fastparquet(folder):
    import fastparquet

    parts = sorted(str(part) for part in folder.glob("*.parquet"))
    return of_pandas(fastparquet.ParquetFile(parts).to_pandas())


def polars(folder):
    import polars

    frame = polars.read_parquet(folder / "*.parquet")
    return {name: (frame.schema[name], frame[name].to_list()) for name in frame.columns}


def duckdb(folder):
    import duckdb

    table = duckdb.sql(f"FROM '{folder}/*.parquet'")
    values = zip(*table.fetchall(), strict=True)
    return dict(zip(table.columns, zip(table.types, values, strict=True), strict=True))


def datasets(folder):
    from datasets import load_dataset

    table = load_dataset("parquet", data_files=f"{folder}/*.parquet", split="train")
    return {name: (str(kind), table[name][:]) for name, kind in table.features.items()}


def lancedb(folder):
    import lancedb
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(folder)
    return of_arrow(lancedb.connect("lance").create_table(folder.name, table).to_arrow())


def pyspark(folder):
    from pyspark.sql import SparkSession

    session = (
        SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    )
    table = session.read.parquet(str(folder))
    values = zip(*table.collect(), strict=True)
    kinds = [field.dataType.simpleString() for field in table.schema]
    return dict(zip(table.columns, zip(kinds, values, strict=True), strict=True))


def daft(folder):
    import daft

    table = daft.read_parquet(f"{folder}/*.parquet")
    values = table.to_pydict()
    return {field.name: (field.dtype, values[field.name]) for field in table.schema()}


def chdb(folder):
    import chdb

    table = f"file('{folder}/*.parquet', Parquet)"
    kinds = chdb.query(f"DESCRIBE {table}", "ArrowTable").to_pydict()
    values = chdb.query(f"SELECT * FROM {table}", "ArrowTable").to_pydict()
    pairs = zip(kinds["name"], kinds["type"], strict=True)
    return {name: (kind, values[name]) for name, kind in pairs}


def datafusion(folder):
    from datafusion import SessionContext

    return of_arrow(SessionContext().read_parquet(str(folder)).to_arrow_table())


READERS = {
    "chdb": chdb,
    "daft": daft,
    "datafusion": datafusion,
    "datasets": datasets,
    "duckdb": duckdb,
    "fastparquet": fastparquet,
    "lancedb": lancedb,
    "pandas": pandas,
    "polars": polars,
    "pyarrow": pyarrow,
    "pyspark": pyspark,
}


def plain(value):
    """Numpy's and Spark's vectors, and types of columns, as what JSON knows."""
    if hasattr(value, "toArray"):
        value = value.toArray()
    return value.tolist() if hasattr(value, "tolist") else str(value)


def main(name, *folders):
    tables = [READERS[name](pathlib.Path(folder)) for folder in folders]
    seen = {"version": importlib.metadata.version(name), "tables": tables}
    json.dump(seen, sys.stdout, default=plain)


if __name__ == "__main__":
    main(*sys.argv[1:])
