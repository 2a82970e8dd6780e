"""What the peers share: listing, decoding, PCA and the outputs. An engine gives the features.

Reads a folder of labelled images and writes the same outputs as `pomona run`, under the same names.
"""

import argparse
import json
import os
import pathlib
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from PIL import Image
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

FEATURES = 1280
EXTENSIONS = (".jpg", ".jpeg", ".png")
CSV_ROWS = 1024  # formatted at once: bounds the memory that the text takes


def list_images(root):
    training = os.path.join(root, "Training")
    root = os.path.abspath(training if os.path.isdir(training) else root)
    return sorted(
        (
            os.path.join(folder, name)
            for folder, _, names in os.walk(root)
            for name in names
            if name.lower().endswith(EXTENSIONS)
        ),
        key=os.fsencode,
    )


def load(path):
    """The picture as the network takes it: 1 x 224 x 224 x 3 bytes. None where it is broken."""
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB").resize((224, 224), Image.BICUBIC))[np.newaxis]
    except (OSError, ValueError, SyntaxError):
        return None


def list_array(matrix):
    """An Arrow list for each row, over the matrix's own memory."""
    rows, width = matrix.shape
    offsets = pa.array(np.arange(0, rows * width + 1, width, dtype=np.int32))
    return pa.ListArray.from_arrays(offsets, pa.array(matrix.ravel()))


def publish(folder):
    (folder / "_SUCCESS").touch()


def write_parquet(folder, keys, column, matrix):
    folder.mkdir(parents=True)
    table = pa.table({**keys, column: list_array(matrix)})
    # Dictionaries and statistics of the numbers cost time and save nothing.
    pq.write_table(
        table,
        folder / "part-00000.parquet",
        compression="zstd",
        use_dictionary=["label"],
        write_statistics=["path", "label"],
        column_encoding={f"{column}.list.element": "BYTE_STREAM_SPLIT"},
    )
    publish(folder)


def write_csv(folder, keys, column, matrix):
    folder.mkdir(parents=True)
    schema = pa.schema([("path", pa.string()), ("label", pa.string()), (column, pa.string())])
    with pyarrow.csv.CSVWriter(folder / "part-00000.csv", schema) as writer:
        for start in range(0, len(matrix), CSV_ROWS):
            block = list_array(matrix[start : start + CSV_ROWS])
            numbers = pa.ListArray.from_arrays(block.offsets, pc.cast(block.values, pa.string()))
            writer.write_table(
                pa.table(
                    {
                        **{name: key.slice(start, CSV_ROWS) for name, key in keys.items()},
                        column: pc.binary_join(numbers, ","),
                    },
                    schema=schema,
                )
            )
    publish(folder)


def write_table_csv(folder, columns):
    folder.mkdir(parents=True)
    pyarrow.csv.write_csv(pa.table(columns), folder / "part-00000.csv")
    publish(folder)


def write_json(folder, content):
    folder.mkdir(parents=True)
    (folder / "part-00000.json").write_text(json.dumps(content, indent=2))
    publish(folder)


def main(make_engine, name):
    """make_engine(model folder, threads) -> extract(paths, out): fills a row of `out` for each path
    and returns which of them are good."""
    started = time.perf_counter()
    parser = argparse.ArgumentParser(description=f"The whole job with {name}.")
    parser.add_argument("input")
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument(
        "--models", type=pathlib.Path, required=True, help="folder that make_models.py filled"
    )
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--components", type=int, default=50)
    parser.add_argument("--run-id", default=time.strftime("%Y%m%d_%H%M%S"))
    args = parser.parse_args()
    pa.set_cpu_count(args.threads)

    listed = np.array(list_images(args.input), dtype=object)
    features = np.empty((len(listed), FEATURES), np.float32)
    extract_started = time.perf_counter()
    extract = make_engine(args.models, args.threads)
    good = extract(listed, features)
    extract_seconds = time.perf_counter() - extract_started
    rejected = listed[~good]
    if len(rejected):
        features = features[good]
    paths = listed[good]
    keys = {
        "path": pa.array(paths, pa.string()),
        "label": pa.array([os.path.basename(os.path.dirname(p)) for p in paths], pa.string()),
    }

    def folder(kind):
        return args.output / f"{kind}_{args.run_id}"

    # Features go to the disk while the PCA is fitted.
    with ThreadPoolExecutor(args.threads) as pool, threadpool_limits(args.threads):
        pending = [
            pool.submit(
                write_csv, folder("features/csv/features"), keys, "features_string", features
            ),
            pool.submit(
                write_parquet, folder("features/parquet/features"), keys, "features", features
            ),
        ]
        # float64 as Spark MLlib has it.
        rows = features.astype(np.float64)
        pca = PCA(args.components, svd_solver="covariance_eigh").fit(rows)
        projected = (rows @ pca.components_.T).astype(np.float32)  # no mean removed, as MLlib
        pending += [
            pool.submit(write_csv, folder("pca/csv/pca"), keys, "pca_features_string", projected),
            pool.submit(write_parquet, folder("pca/parquet/pca"), keys, "pca_features", projected),
        ]
        for future in pending:
            future.result()

    ratio = pca.explained_variance_ratio_
    write_table_csv(folder("metadata/metadata"), keys)
    write_table_csv(
        folder("model_info/variance"),
        {
            "component": np.arange(1, args.components + 1),
            "variance_explained": ratio,
            "cumulative_variance": np.cumsum(ratio),
        },
    )
    write_table_csv(folder("errors/errors"), {"path": pa.array(rejected, pa.string())})
    write_json(
        folder("model_info/model_info"),
        {
            "model": "MobileNetV2",
            "weights": "imagenet",
            "engine": name,
            "feature_dimension": FEATURES,
            "pca_components": args.components,
            "images": len(paths),
            "total_variance_explained": float(ratio.sum()),
            "mean": pca.mean_.tolist(),
        },
    )
    write_json(
        folder("run_info/run_info"),
        {
            "rows": len(paths),
            "rejects": len(rejected),
            "extract_seconds": extract_seconds,
            "extract_images_per_second": len(listed) / extract_seconds,
            "seconds": time.perf_counter() - started,
        },
    )
    print(
        f"{len(paths)} rows, {len(rejected)} rejects; "
        f"{len(listed) / extract_seconds:.1f} images/s in the extract stage"
    )
