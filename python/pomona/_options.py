"""The types of run()'s options; what they mean and their defaults are the program's."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Literal, TypedDict


class RunOptions(TypedDict, total=False):
    mode: Literal["mini", "apples", "full"]
    pca_components: int
    threads: int
    engine: Literal["native", "openvino"]
    cpu: Literal["best", "avx512", "avx2", "neon", "scalar"]
    weights: str | os.PathLike[str]
    run_id: str
    formats: str | Sequence[Literal["parquet", "csv"]]
    vectors: Literal["list", "spark"]
    center: bool
    standardize: bool
    include: str | Sequence[str]
    exclude: str | Sequence[str]
    limit: int
    max_rejects: int | str
    s3_endpoint: str
    s3_anonymous: bool
    fresh: bool
