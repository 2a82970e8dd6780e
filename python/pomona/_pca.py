"""Features -> principal components."""

from __future__ import annotations

import operator
import os
import warnings
from typing import Any

import numpy

from . import _core, _estimator, _inputs
from ._estimator import not_fitted
from ._options import DEFAULTS


class Moments(_core.Moments):
    """Count, mean and co-moments of feature rows, in float64: what a PCA is fitted on.

    Parts can be made anywhere, sent as bytes or by pickle, and merged. One serves one thread at a
    time: give each thread its own.
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


class PCA(_estimator.Transformer):
    """Principal components as Spark MLlib computes them, with scikit-learn's names.

    Projects X . V without removing the mean, unless `center` is set; each component's entry of
    largest magnitude is positive. `standardize` scales each feature to unit variance first.

    A transformer as scikit-learn has them, for its pipelines, clone(), set_output() and so on,
    though scikit-learn need not be there. Of DataFrames it knows the columns as
    `feature_names_in_`. Features are taken as float32, projections are float64.
    """

    _model: _core.PCA | None = None

    def __init__(
        self,
        n_components: int = DEFAULTS.pca_components,
        *,
        center: bool = DEFAULTS.center,
        standardize: bool = DEFAULTS.standardize,
    ) -> None:
        self.n_components = n_components
        self.center = center
        self.standardize = standardize

    def fit(self, X: Any, y: object = None) -> PCA:
        """Fits on rows (an Arrow array of lists, a matrix, a DataFrame of numbers, a sequence of
        vectors) or on Moments.

        Warns where the rows determine fewer components than it has: the others are arbitrary.
        """
        if not isinstance(X, _core.Moments):
            return self._fit_on(self._rows_to_fit(X))
        self.__dict__.pop("feature_names_in_", None)  # of an earlier fit
        return self._fit_on(X)

    def transform(self, X: Any) -> Any:
        """Projects rows: a pyarrow list array for an Arrow array, else a float64 matrix, or what
        set_output() asks for."""
        return self._as_asked(self._fitted()._transform(self._rows_to_transform(X)), X)

    def fit_transform(self, X: Any, y: object = None) -> Any:
        """fit(X), then transform(X)."""
        rows = self._rows_to_fit(X)
        return self._as_asked(self._fit_on(rows)._fitted()._transform(rows), X)

    def inverse_transform(self, X: Any) -> Any:
        """The features that rows of components stand for, as near as they tell: float64."""
        rows = X
        if hasattr(X, "__arrow_c_array__") or (
            hasattr(X, "__arrow_c_stream__") and not hasattr(X, "columns")
        ):
            rows = X.to_pylist() if hasattr(X, "to_pylist") else list(X)
        model = self._fitted()
        rows = numpy.asarray(rows, dtype=numpy.float64)
        if rows.shape == (0,):  # no rows, of which a list does not tell the length
            rows = rows.reshape(0, model.n_components_)
        features = rows @ model.components_
        if model.scale_ is not None:
            features *= model.scale_
        if model.center:
            features += model.mean_
        return features

    def get_feature_names_out(self, input_features: object = None) -> numpy.ndarray[Any, Any]:
        """The names of the columns that transform() gives: pca0, pca1, ..."""
        return numpy.array([f"pca{i}" for i in range(self.n_components_)], dtype=object)

    @property
    def components_(self) -> numpy.ndarray[Any, Any]:
        """n_components x n_features"""
        return self._fitted().components_

    @property
    def explained_variance_(self) -> numpy.ndarray[Any, Any]:
        """The variance along each component, with n - 1."""
        return self._fitted().explained_variance_

    @property
    def explained_variance_ratio_(self) -> numpy.ndarray[Any, Any]:
        """The same as shares of the total variance."""
        return self._fitted().explained_variance_ratio_

    @property
    def singular_values_(self) -> numpy.ndarray[Any, Any]:
        """Those of the centered rows that it was fitted on."""
        return numpy.sqrt(self.explained_variance_ * (self.n_samples_ - 1))

    @property
    def noise_variance_(self) -> float:
        """The mean variance along each direction that no component has."""
        left = min(self.n_features_in_, self.n_samples_) - self.n_components_
        rest = self._fitted().total_variance_ - self.explained_variance_.sum()
        return max(float(rest) / left, 0.0) if left > 0 else 0.0

    @property
    def mean_(self) -> numpy.ndarray[Any, Any]:
        """Of each feature, whether or not it is taken off."""
        return self._fitted().mean_

    @property
    def scale_(self) -> numpy.ndarray[Any, Any] | None:
        """What features are divided by; None unless standardize."""
        return self._fitted().scale_

    @property
    def n_components_(self) -> int:
        return self._fitted().n_components_

    @property
    def n_determined_(self) -> int:
        """How many of the components the rows determine; the others are arbitrary."""
        return self._fitted().n_determined_

    @property
    def n_features_in_(self) -> int:
        return self._fitted().n_features_in_

    @property
    def n_samples_(self) -> int:
        return self._fitted().n_samples_

    def to_sklearn(self) -> Any:
        """A fitted sklearn.decomposition.PCA with the same projections, and behind a
        StandardScaler where features are standardized (a Pipeline then).

        Its `mean_` is zero where this one takes no mean off.
        """
        from sklearn.decomposition import PCA as Theirs

        model = self._fitted()
        mean = model.mean_ if model.center else numpy.zeros(model.n_features_in_)
        theirs = Theirs(self.n_components_)
        theirs.n_components_ = self.n_components_
        theirs.n_features_in_ = self.n_features_in_
        theirs.n_samples_ = self.n_samples_
        theirs.components_ = model.components_
        theirs.explained_variance_ = model.explained_variance_
        theirs.explained_variance_ratio_ = model.explained_variance_ratio_
        theirs.singular_values_ = self.singular_values_
        theirs.noise_variance_ = self.noise_variance_
        theirs.mean_ = mean if model.scale_ is None else numpy.zeros_like(mean)
        names = getattr(self, "feature_names_in_", None)
        if names is not None and model.scale_ is None:
            theirs.feature_names_in_ = names
        if model.scale_ is None:
            return theirs
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        scaler = StandardScaler(with_mean=model.center)
        scaler.mean_, scaler.scale_, scaler.var_ = mean, model.scale_, model.scale_**2
        scaler.n_features_in_, scaler.n_samples_seen_ = self.n_features_in_, self.n_samples_
        if names is not None:
            scaler.feature_names_in_ = names
        return make_pipeline(scaler, theirs)

    @classmethod
    def from_sklearn(cls, theirs: Any) -> PCA:
        """Of a fitted sklearn.decomposition.PCA that does not whiten: the same projections.

        `center` is set unless its mean is zero throughout.
        """
        if not hasattr(theirs, "components_"):
            raise not_fitted(type(theirs).__name__)
        if getattr(theirs, "whiten", False):
            raise ValueError("whiten=True: this PCA does not divide by the standard deviations")
        ratio = float(numpy.sum(theirs.explained_variance_ratio_))
        explained = float(numpy.sum(theirs.explained_variance_))
        mean = numpy.asarray(theirs.mean_, dtype=numpy.float64)
        model = _core.PCA._of(
            components=numpy.ascontiguousarray(theirs.components_, dtype=numpy.float64),
            mean=mean,
            variance=numpy.ascontiguousarray(theirs.explained_variance_, dtype=numpy.float64),
            total_variance=explained / ratio if ratio > 0 else explained,
            rows=int(theirs.n_samples_),
            center=bool(mean.any()),
        )
        pca = cls._holding(model)
        if (names := getattr(theirs, "feature_names_in_", None)) is not None:
            pca.feature_names_in_ = names
        return pca

    def to_onnx(self) -> bytes:
        """An ONNX model of the projection, in float32, as a run's pca_onnx."""
        return self._fitted()._onnx()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a safetensors file, as a run's pca_model."""
        self._fitted()._save(path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> PCA:
        """Reads what save() or a run wrote."""
        return cls._holding(_core.PCA._load(path))

    def to_bytes(self) -> bytes:
        """What save() writes."""
        return self._fitted().to_bytes()

    @classmethod
    def from_bytes(cls, bytes: bytes) -> PCA:
        """What to_bytes() gave."""
        model = _core.PCA.__new__(_core.PCA)
        model.__setstate__(bytes)
        return cls._holding(model)

    @classmethod
    def _holding(cls, model: _core.PCA) -> PCA:
        pca = cls(model.n_components, center=model.center, standardize=model.standardize)
        pca._model = model
        return pca

    def _fit_on(self, rows: Any) -> PCA:
        model = _core.PCA(
            operator.index(self.n_components),
            center=bool(self.center),
            standardize=bool(self.standardize),
        )
        model._fit(rows)
        self._model = model
        if model.n_determined_ < model.n_components_:
            warnings.warn(
                f"the rows determine {model.n_determined_} of the {model.n_components_} "
                "components; the further ones are arbitrary: take fewer n_components",
                stacklevel=3,
            )
        return self

    def _fitted(self) -> _core.PCA:
        if self._model is None:
            raise not_fitted("PCA")
        return self._model
