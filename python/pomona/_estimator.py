"""What scikit-learn asks of a transformer; nothing here imports it where it is not in use."""

from __future__ import annotations

import inspect
import sys
from typing import Any, Literal, Self

import numpy

from . import _inputs

Form = Literal["default", "pandas", "polars"]


def not_fitted(what: str) -> Exception:
    """scikit-learn's NotFittedError where it is in use, else one that is caught alike."""
    sklearn = sys.modules.get("sklearn.exceptions")
    kind = sklearn.NotFittedError if sklearn else _NotFitted
    return kind(f"this {what} is not fitted yet; call fit() or load()")


class _NotFitted(ValueError, AttributeError):
    pass


class Transformer:
    """Parameters, validated rows and outputs, by scikit-learn's conventions.

    A subclass keeps the arguments of its __init__ as attributes of their names, has
    get_feature_names_out(), and is fitted when it has `n_features_in_`.
    """

    feature_names_in_: numpy.ndarray[Any, Any]
    n_features_in_: Any
    _sklearn_output_config: dict[str, Form] = {}  # noqa: RUF012  replaced, never changed

    @classmethod
    def _parameters(cls) -> list[str]:
        return list(inspect.signature(cls).parameters)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters it was made with."""
        return {name: getattr(self, name) for name in self._parameters()}

    def set_params(self, **params: Any) -> Self:
        """Changes parameters; they count from the next fit() on."""
        for name, value in params.items():
            if name not in self._parameters():
                raise ValueError(
                    f"Invalid parameter {name!r} for estimator {self!r}. "
                    f"Valid parameters are: {self._parameters()!r}."
                )
            setattr(self, name, value)
        return self

    def set_output(self, *, transform: Form | None = None) -> Self:
        """What transform() gives for matrices and DataFrames: "default" (arrays), "pandas" or
        "polars". For Arrow's arrays it gives Arrow's."""
        if transform is not None:
            if transform not in ("default", "pandas", "polars"):
                raise ValueError(f"transform={transform!r}: expected default, pandas or polars")
            self._sklearn_output_config = {"transform": transform}
        return self

    def get_feature_names_out(self, input_features: object = None) -> numpy.ndarray[Any, Any]:
        raise NotImplementedError

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.get_params().items())
        return f"{type(self).__name__}({given})"

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "n_features_in_")

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(),
        )

    def _rows_to_fit(self, X: Any) -> Any:
        """Rows as the core takes them; remembers the names of their columns."""
        rows, names = _rows(X)
        if isinstance(rows, numpy.ndarray) and len(rows) < 2:
            raise ValueError(f"n_samples={len(rows)}: at least two images are needed")
        self.__dict__.pop("feature_names_in_", None)
        if names is not None:
            self.feature_names_in_ = names
        return rows

    def _rows_to_transform(self, X: Any) -> Any:
        """Rows as the core takes them, of the features that it was fitted on."""
        features = self.n_features_in_
        rows, names = _rows(X)
        # (0, 0): a sequence of no vectors, which has no features to count.
        if isinstance(rows, numpy.ndarray) and rows.shape not in ((0, 0), (len(rows), features)):
            raise ValueError(
                f"X has {rows.shape[1]} features, but {type(self).__name__} is expecting "
                f"{features} features as input"
            )
        fitted = getattr(self, "feature_names_in_", None)
        if names is not None and fitted is not None and list(names) != list(fitted):
            raise ValueError(
                "The feature names should match those that were passed during fit: "
                f"{list(names)[:5]} are not {list(fitted)[:5]}"
            )
        return rows

    def _as_asked(self, made: Any, X: Any) -> Any:
        """An array that transform() made, in the form of set_output()."""
        form = self._sklearn_output_config.get("transform")
        if form is None and (sklearn := sys.modules.get("sklearn")):
            form = sklearn.get_config()["transform_output"]
        if not isinstance(made, numpy.ndarray) or form in (None, "default"):
            return made
        names = list(self.get_feature_names_out())
        if form == "polars":
            import polars

            return polars.DataFrame(made, schema=names, orient="row")
        import pandas

        index = X.index if isinstance(X, pandas.DataFrame) else None
        return pandas.DataFrame(made, index=index, columns=names)


def _rows(X: Any) -> tuple[Any, numpy.ndarray[Any, Any] | None]:
    """Rows as the core takes them, matrices validated, and the names of their columns if any."""
    if hasattr(X, "tocsr"):
        raise TypeError("Sparse data is not supported; give its toarray()")
    names = None
    if (columns := getattr(X, "columns", None)) is not None and hasattr(X, "to_numpy"):
        matrix = X.to_numpy()
        if matrix.dtype.kind not in "fiub":
            return _inputs.vectors(X), None  # which says what to give instead
        if all(isinstance(name, str) for name in columns):
            names = numpy.asarray(columns, dtype=object)
        X = matrix
    elif hasattr(X, "__array__") and not _is_arrow(X):
        X = numpy.asarray(X)
    if not isinstance(X, numpy.ndarray):
        return _inputs.vectors(X), None
    return _checked(X), names


def _is_arrow(X: Any) -> bool:
    return hasattr(X, "__arrow_c_array__") or hasattr(X, "__arrow_c_stream__")


def _checked(matrix: numpy.ndarray[Any, Any]) -> numpy.ndarray[Any, Any]:
    if matrix.dtype.kind == "c":
        raise ValueError("Complex data not supported")
    if matrix.ndim != 2:
        raise ValueError(
            f"Expected 2D array, got {matrix.ndim}D array instead. Reshape your data: "
            "reshape(1, -1) makes one row of it"
        )
    if matrix.shape[1] == 0:
        raise ValueError(f"0 feature(s) (shape={matrix.shape}) while a minimum of 1 is required.")
    if matrix.dtype.kind == "O":
        matrix = matrix.astype(numpy.float64)
    return _inputs.floats(matrix)
