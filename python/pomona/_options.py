"""The options of run(): their types. What they mean and their defaults are the program's."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypedDict

from . import _core

Engine = Literal["native", "gpu", "openvino"]
Cpu = Literal["best", "avx512", "avx2", "neon", "scalar"]

# What each option is where it is not given. Any: to mypy a name is any text, not one of Engine's.
DEFAULTS: Any = _core.RunOptions()


class S3Options(TypedDict, total=False):
    s3_endpoint: str
    s3_anonymous: bool


class CheckOptions(S3Options, total=False):
    mode: Literal["mini", "apples", "full"]
    threads: int
    memory: str
    include: str | Sequence[str]
    exclude: str | Sequence[str]
    hidden: bool
    limit: int
    max_rejects: int | str
    cache: str
    cache_size: str
    stats: Literal["none", "basic", "full"]


class RunOptions(CheckOptions, total=False):
    pca_components: int
    decode: Literal["exact", "scaled"]
    engine: Engine
    device: str
    cpu: Cpu
    weights: str | os.PathLike[str]
    run_id: str
    formats: str | Sequence[Literal["parquet", "csv"]]
    vectors: Literal["fixed", "list", "spark"]
    center: bool
    standardize: bool
    pca: str | os.PathLike[str]
    report: Literal["full", "plots", "none"]
    report_images: Literal["all", "none"]
    metrics: str | os.PathLike[str]
    shard: str
    fresh: bool


def check(given: Iterable[str], *others: str, for_check: bool = False) -> None:
    """Raises TypeError for what is no option of a run, or of a check, with the nearest name and all
    there are; `others`: what the function takes besides."""
    names = [spec.name for spec in _core.option_specs() if spec.is_for_check or not for_check]
    names += others
    for name in given:
        if name in names:
            continue
        near = [other for other in names if len(name) > 3 and name in other]
        near += difflib.get_close_matches(name, names, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else "."
        raise TypeError(f"there is no option '{name}'{hint} The options are {', '.join(names)}")
