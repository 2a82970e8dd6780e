"""pomona.PCA is a transformer as scikit-learn has them, and turns into its PCA and back."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import sklearn
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA as Theirs
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

pomona = pytest.importorskip("pomona", reason="the package is not installed")

OPTIONS = [
    {},
    {"center": True},
    {"standardize": True},
    {"center": True, "standardize": True},
]

# Of all checks of scikit-learn 1.9 those that do not apply, and why: none. What passes though it
# stands here fails.
NOT_APPLICABLE: dict[str, str] = {}


@pytest.fixture(scope="module")
def digits():
    return load_digits().data  # 1,797 x 64, some columns constant


@pytest.mark.filterwarnings("ignore:the rows determine")
@parametrize_with_checks(
    [pomona.PCA(1, **options) for options in OPTIONS] + [pomona.PCA(2, center=True)],
    expected_failed_checks=lambda estimator: NOT_APPLICABLE,
    xfail_strict=True,
)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def test_the_check_of_array_apis():
    """Which asks for a variable that SciPy reads when it is first imported."""
    code = """
import pomona
from sklearn.utils.estimator_checks import check_estimator
checks = check_estimator(pomona.PCA(1))
print([c["status"] for c in checks if c["check_name"] == "check_array_api_input"])
"""
    environment = os.environ | {"SCIPY_ARRAY_API": "1"}
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.stdout == "['passed']\n", done.stderr


@pytest.mark.parametrize("options", OPTIONS)
def test_to_scikit_learn_and_back(digits, options):
    ours = pomona.PCA(10, **options).fit(digits)
    theirs = ours.to_sklearn()
    np.testing.assert_allclose(theirs.transform(digits), ours.transform(digits), atol=1e-9)
    projected = ours.transform(digits[:5])
    np.testing.assert_allclose(
        theirs.inverse_transform(projected), ours.inverse_transform(projected), atol=1e-9
    )
    assert list(theirs.get_feature_names_out()) == list(ours.get_feature_names_out())
    if "standardize" not in options:
        back = pomona.PCA.from_sklearn(theirs)
        assert back.get_params() == ours.get_params()
        np.testing.assert_array_equal(back.transform(digits), ours.transform(digits))
        np.testing.assert_allclose(
            back.explained_variance_ratio_, ours.explained_variance_ratio_, rtol=1e-12
        )


def test_from_scikit_learn(digits):
    theirs = Theirs(12, svd_solver="full").fit(digits)
    ours = pomona.PCA.from_sklearn(theirs)
    np.testing.assert_allclose(ours.transform(digits), theirs.transform(digits), atol=1e-9)
    # What a fit of ours gives has its attributes too.
    fitted = pomona.PCA(12, center=True).fit(digits)
    for pca in (ours, fitted):
        for name in ("singular_values_", "noise_variance_", "explained_variance_", "mean_"):
            np.testing.assert_allclose(getattr(pca, name), getattr(theirs, name), rtol=1e-7)
        assert pca.n_samples_ == len(digits)
    whitening = Theirs(3, whiten=True).fit(digits)
    with pytest.raises(ValueError, match="whiten"):
        pomona.PCA.from_sklearn(whitening)
    with pytest.raises(NotFittedError):
        pomona.PCA.from_sklearn(Theirs(3))


def test_clone_keeps_what_was_set(digits):
    pca = pomona.PCA(300, center=True).set_output(transform="pandas")
    assert sklearn.clone(pca).get_params() == pca.get_params()
    pca.set_params(n_components=3)
    assert sklearn.clone(pca).fit_transform(digits).shape == (len(digits), 3)
    with pytest.raises(ValueError, match="Invalid parameter 'components'"):
        pca.set_params(components=3)
    assert not hasattr(sklearn.clone(pca.fit(digits)), "components_")


def test_in_a_search():
    iris = load_iris()
    pipeline = make_pipeline(pomona.PCA(1), LogisticRegression(max_iter=1000))
    search = GridSearchCV(pipeline, {"pca__n_components": [1, 2, 3], "pca__center": [False, True]})
    assert search.fit(iris.data, iris.target).best_score_ > 0.9


def test_data_frames(digits):
    frame = pd.DataFrame(digits, columns=[f"pixel{i}" for i in range(64)])[::-1]
    plain = pomona.PCA(4).fit(digits).transform(digits)
    pca = pomona.PCA(4).fit(frame)
    assert list(pca.feature_names_in_) == list(frame.columns)
    made = pca.set_output(transform="pandas").transform(frame)
    assert list(made.columns) == ["pca0", "pca1", "pca2", "pca3"]
    assert (made.index == frame.index).all()
    np.testing.assert_allclose(made.sort_index().to_numpy(), plain, atol=1e-9)
    polars = pca.set_output(transform="polars").transform(pl.DataFrame(frame))
    assert polars.columns == list(made.columns)
    np.testing.assert_array_equal(polars.to_numpy(), made.to_numpy())
    with sklearn.config_context(transform_output="pandas"):
        assert isinstance(pomona.PCA(2).fit_transform(digits), pd.DataFrame)
    assert isinstance(pomona.PCA(2).fit_transform(digits), np.ndarray)
    with pytest.raises(ValueError, match="feature names should match"):
        pca.transform(frame.rename(columns={"pixel0": "other"}))
    with pytest.raises(ValueError, match="expected default, pandas or polars"):
        pca.set_output(transform="arrow")
    arrow = pa.array(list(digits), pa.list_(pa.float32()))
    assert pca.transform(arrow).type == pa.list_(pa.field("element", pa.float64()))


def test_pickle_keeps_all(digits):
    frame = pd.DataFrame(digits, columns=[f"pixel{i}" for i in range(64)])
    pca = pomona.PCA(4, standardize=True).set_output(transform="pandas").fit(frame)
    copy = pickle.loads(pickle.dumps(pca))
    assert list(copy.feature_names_in_) == list(frame.columns)
    pd.testing.assert_frame_equal(copy.transform(frame), pca.transform(frame))
    assert pickle.loads(pickle.dumps(pomona.PCA(7))).get_params() == pomona.PCA(7).get_params()


def test_it_needs_no_scikit_learn():
    code = """
import sys
sys.modules["sklearn"] = None
import numpy, pomona
rows = numpy.random.default_rng(1).normal(size=(20, 4))
pca = pomona.PCA(2)
try:
    pca.transform(rows)
except ValueError as error:
    assert isinstance(error, AttributeError)
print(pca.fit(rows).set_params(center=True).fit_transform(rows).shape, pca)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "(20, 2) PCA(n_components=2, center=True, standardize=False)\n", (
        done.stderr
    )
