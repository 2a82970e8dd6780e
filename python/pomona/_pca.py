"""Features -> principal components."""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy

from . import _core, _inputs
from ._options import DEFAULTS


class Moments(_core.Moments):
    """Count, mean and co-moments of feature rows, in float64: what a PCA is fitted on.

    Parts can be made anywhere, sent as bytes or by pickle, and merged.
    """

    def __init__(self, n_features: int) -> None:
        super().__init__(n_features)

    def add(self, rows: Any) -> Moments:
        """Adds rows: an Arrow array of lists, a matrix, or a sequence of vectors."""
        self._add(_inputs.vectors(rows))
        return self

    def merge(self, other: _core.Moments) -> Moments:
        """Adds the rows that another one has seen."""
        self._merge(other)
        return self

    @classmethod
    def from_bytes(cls, bytes: bytes) -> Moments:
        """What to_bytes() gave."""
        moments = cls.__new__(cls)
        moments.__setstate__(bytes)
        return moments

    def __repr__(self) -> str:
        return f"<pomona.Moments of {self.count} rows of {self.n_features} features>"


class PCA(_core.PCA):
    """Principal components as Spark MLlib computes them, with scikit-learn's names.

    Projects X . V without removing the mean, unless `center` is set; each component's entry of
    largest magnitude is positive. `standardize` scales each feature to unit variance first.
    """

    def __init__(
        self,
        n_components: int = DEFAULTS.pca_components,
        *,
        center: bool = DEFAULTS.center,
        standardize: bool = DEFAULTS.standardize,
    ) -> None:
        super().__init__(n_components, center=center, standardize=standardize)

    def fit(self, X: Any, y: object = None) -> PCA:
        """Fits on rows (an Arrow array of lists, a matrix, a sequence of vectors) or on Moments.

        Warns where the rows determine fewer components than it has: the others are arbitrary.
        """
        self._fit(X if isinstance(X, _core.Moments) else _inputs.vectors(X))
        if self.n_determined_ < self.n_components_:
            warnings.warn(
                f"the rows determine {self.n_determined_} of the {self.n_components_} components; "
                "the further ones are arbitrary: take fewer n_components",
                stacklevel=2,
            )
        return self

    def transform(self, X: Any) -> Any:
        """Projects rows: a pyarrow list array for an Arrow array, else a float64 matrix."""
        return self._transform(_inputs.vectors(X))

    def fit_transform(self, X: Any, y: object = None) -> Any:
        """fit(X), then transform(X)."""
        rows = _inputs.vectors(X)
        return self.fit(rows).transform(rows)

    def inverse_transform(self, X: Any) -> Any:
        """The features that rows of components stand for, as near as they tell: float64."""
        rows = X
        if hasattr(X, "__arrow_c_array__") or hasattr(X, "__arrow_c_stream__"):
            rows = X.to_pylist() if hasattr(X, "to_pylist") else list(X)
        features = numpy.asarray(rows, dtype=numpy.float64) @ self.components_
        if self.scale_ is not None:
            features *= self.scale_
        if self.center:
            features += self.mean_
        return features

    def get_params(self, deep: bool = True) -> dict[str, int | bool]:
        """The parameters it was made with."""
        return {
            "n_components": self.n_components,
            "center": self.center,
            "standardize": self.standardize,
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a safetensors file, as a run's pca_model."""
        self._save(path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> PCA:
        """Reads what save() or a run wrote."""
        return cls.from_bytes(_core.PCA._load(path).to_bytes())

    @classmethod
    def from_bytes(cls, bytes: bytes) -> PCA:
        """What to_bytes() gave."""
        pca = cls.__new__(cls)
        pca.__setstate__(bytes)
        return pca

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.get_params().items())
        return f"PCA({given})"
