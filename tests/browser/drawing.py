"""What a scatter plot has to look like, told from a run's tables."""

import dataclasses
import hashlib
import re

import numpy as np
import pyarrow.parquet

# Around the points, in pixels of the page: for the axes.
LEFT, TOP, RIGHT, BOTTOM = 52, 8, 8, 32
# Around all points, of their range on each side.
MARGIN = 0.04
# How far anything may be from its place, in pixels of the screen.
OFF = 1


# The side of a point, as long as there are not many.
SIDE = 5


# Names and colours of the labels, of a page.
LEGEND = """() => [...document.querySelectorAll('.legend li')].map((line) =>
  [line.querySelector('.name').textContent,
   getComputedStyle(line.querySelector('.swatch')).backgroundColor])"""


def table(file):
    """Paths, labels and scores of the run that a page of make_page() is about."""
    rows = pyarrow.parquet.read_table(file.parent / "out/pca/parquet/pca_r")
    scores = np.array(rows["pca_features"].to_pylist(), np.float32)
    return rows["path"].to_pylist(), np.array(rows["label"].to_pylist()), scores


def image_colour(path):
    """That of the image of a made-up run."""
    return tuple(hashlib.sha256(path.encode()).digest()[:3])


def colour(style):
    """Of "rgb(1, 2, 3)"."""
    return tuple(map(int, re.findall(r"\d+", style)))


@dataclasses.dataclass
class Axis:
    """From values to places on the canvas, in pixels of the page."""

    low: float
    high: float
    at_low: float
    at_high: float

    def place(self, values):
        share = (np.asarray(values, np.float64) - self.low) / (self.high - self.low)
        return self.at_low + share * (self.at_high - self.at_low)


def axes(xs, ys, width, height):
    """Those of a plot that shows all points."""

    def axis(values, at_low, at_high):
        low, high = float(values.min()), float(values.max())
        margin = MARGIN * (high - low)
        return Axis(low - margin, high + margin, at_low, at_high)

    return axis(xs, LEFT, width - RIGHT), axis(ys, height - BOTTOM, TOP)


def squares(across, up, shape, half):
    """Where a pixel lies in any of the squares around the places."""
    found = np.zeros(shape, bool)
    for x, y in zip(across, up, strict=True):
        rows = slice(max(0, round(y - half)), max(0, round(y + half)))
        found[rows, max(0, round(x - half)) : max(0, round(x + half))] = True
    return found


def alike(picture, colour):
    return (np.abs(picture.astype(int) - np.array(colour)) <= 3).all(axis=2)


def check(picture, size, ratio, xs, ys, labels, colours, paper):
    """That `picture` (rows, columns, RGB) of a canvas of `size` (pixels of the page), which shows
    all points, has each in its place and in the colour of its label, and nothing between them."""
    width, height = size
    x_axis, y_axis = axes(xs, ys, width, height)
    across, up = ratio * x_axis.place(xs), ratio * y_axis.place(ys)
    half = ratio * SIDE / 2
    shape = picture.shape[:2]
    maybe = {
        label: squares(across[labels == label], up[labels == label], shape, half + OFF)
        for label in colours
    }
    many = sum(place.astype(int) for place in maybe.values())
    checked = 0
    for label, colour in colours.items():
        of = labels == label
        sure = squares(across[of], up[of], shape, half - OFF) & (many == 1)
        assert sure.sum() > 0, f"no point of {label} stands apart"
        wrong = sure & ~alike(picture, colour)
        assert wrong.sum() == 0, f"{wrong.sum()} of {sure.sum()} pixels of {label} are not {colour}"
        checked += sure.sum()
    inner = np.zeros(shape, bool)
    inner[
        round(TOP * ratio) + 2 : round((height - BOTTOM) * ratio) - 2,
        round(LEFT * ratio) + 2 : round((width - RIGHT) * ratio) - 2,
    ] = True
    empty = inner & (many == 0)
    wrong = empty & ~alike(picture, paper)
    assert wrong.sum() == 0, f"{wrong.sum()} of {empty.sum()} pixels without a point are not empty"
    return checked


def apart(xs, ys, width, height, far=14):
    """Rows and places of the points that no other is near to, so that a pointer means them."""
    x_axis, y_axis = axes(xs, ys, width, height)
    places = np.stack([x_axis.place(xs), y_axis.place(ys)], axis=1)
    distances = np.hypot(*np.moveaxis(places[:, None] - places[None], 2, 0))
    np.fill_diagonal(distances, np.inf)
    return [(row, places[row]) for row in np.flatnonzero(distances.min(axis=1) > far)]
