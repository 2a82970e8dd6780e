"""Deep features and principal components of labelled images, natively and fast.

`run` does the whole job on a tree of images, `check` tells what it would reject, `Run` reads what
it published, `audit` finds duplicates, outliers and wrong labels in it, `Index` what is nearest to
a picture; `Extractor`, `Moments` and `PCA` are its parts, over Arrow; `pomona.spark` runs them on a
cluster. See docs/python.md of the project.
"""

from __future__ import annotations

import pyarrow as _pyarrow  # noqa: F401  its shared libraries are what the module is linked to

from ._audit import AuditSummary, audit, near_pairs
from ._check import CheckSummary, check
from ._core import OutputBusy, TooManyRejects
from ._core import version as __version__
from ._extractor import Extractor
from ._index import Index
from ._pca import PCA, Moments
from ._published import Run, Runs, delete, runs, show
from ._run import RunSummary, run

__all__ = [
    "PCA",
    "AuditSummary",
    "CheckSummary",
    "Extractor",
    "Index",
    "Moments",
    "OutputBusy",
    "Run",
    "RunSummary",
    "Runs",
    "TooManyRejects",
    "__version__",
    "audit",
    "check",
    "delete",
    "near_pairs",
    "run",
    "runs",
    "show",
]


def __dir__() -> list[str]:
    return __all__
