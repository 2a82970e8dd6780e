"""Near pairs of the rows of a DataFrame: blocks of rows that lie together, and pairs of blocks.

Short vectors stand for the rows, as in src/audit/short_vectors.h: of a row of length 1 its
coordinates in an orthonormal basis and, last, the length of what is left. Neither step lengthens a
difference, and of vectors of length 1 |a - b|^2 = 2 - 2ab. So two rows that are near enough have
short vectors that are no farther apart than that, and rows of two blocks need comparing only where
the boxes of their short vectors are. Any basis and any blocks give the same pairs; good ones leave
less to compare.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from ._audit import near_pairs
from ._spark_executor import in_worker
from ._spark_vectors import lists, matrix, packed_rows

# Rows that the driver makes the basis and the cuts of. More hardly make a better basis, but more
# blocks.
SAMPLE_ROWS = 4096
_BASIS_ROWS = 512
_COMPONENTS = 30

# Rows that a block is meant to have, and at most twice as many: a task holds two blocks. Smaller
# ones have more neighbours, to which their rows have to be sent.
_BLOCK_ROWS = 4096

# What holds fewer than twice as many of the sample is not cut.
_LEAST_SAMPLED = 8

# What the numbers of a short vector may be off by. NumPy's last bits depend on the CPU and on what
# else is multiplied; the core's own margin is as large.
_MARGIN = 1e-6

# Rows that are given to their pairs of blocks at once, each several times.
_ROWS_AT_ONCE = 512

# Of what they become as many at once as go into one message.
_SENT_AT_ONCE = 4096

# Pairs in one message from a Python worker to the JVM.
_PAIRS_AT_ONCE = 65536


class Cuts:
    """Where a row belongs: a basis, and a tree of cuts through the short vectors.

    A node is the number of a block, or a dimension, a value, and the nodes of what lies below and
    not below it.
    """

    def __init__(self, sample: list[bytes], count: int) -> None:
        """Of a sample of `count` rows, each the bytes of float32."""
        if len(set(map(len, sample))) > 1:
            raise ValueError("the vectors differ in length")
        taken = np.frombuffer(b"".join(sample), np.float32).reshape(len(sample), -1)
        rows = _of_length_1(taken, _norms(taken))
        some = rows[:: -(-len(rows) // _BASIS_ROWS)]
        # The directions that hold most of these rows, by way of the products of the rows, which are
        # few, however wide they are.
        _, weights = np.linalg.eigh(some @ some.T)
        directions = weights[:, -min(_COMPONENTS, *some.shape) :].T @ some
        self._basis = np.linalg.qr(directions.T)[0]
        self.blocks = 0
        self._root = self._cut(self._shortened(rows), count / len(rows))

    def _cut(self, vectors: np.ndarray, each: float) -> Any:
        """In halves by the dimension in which they spread most, these again; `each`: the rows that
        one of the sample stands for."""
        if len(vectors) * each > _BLOCK_ROWS and len(vectors) >= 2 * _LEAST_SAMPLED:
            dimension = int(np.argmax(np.ptp(vectors, axis=0)))
            values = np.sort(vectors[:, dimension])
            # Not through rows that are equal: they would be in both.
            places = 1 + np.flatnonzero(np.diff(values) > 4 * _MARGIN)
            if len(places) > 0:
                place = places[np.argmin(np.abs(places - len(values) / 2))]
                value = float(values[place - 1] + values[place]) / 2
                below = vectors[:, dimension] < value
                return (
                    dimension,
                    value,
                    self._cut(vectors[below], each),
                    self._cut(vectors[~below], each),
                )
        self.blocks += 1
        return self.blocks - 1

    @property
    def width(self) -> int:
        """Of a row."""
        return len(self._basis)

    @property
    def dimensions(self) -> int:
        """Of a short vector."""
        return self._basis.shape[1] + 1

    def short(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which rows are not all zeros, and their short vectors."""
        norms = _norms(rows)
        kept = np.flatnonzero(norms)
        return kept, self._shortened(_of_length_1(rows[kept], norms[kept]))

    def _shortened(self, rows: np.ndarray) -> np.ndarray:
        inside = rows @ self._basis
        left = 1 - np.einsum("ij,ij->i", inside, inside)
        return np.column_stack([inside, np.sqrt(np.maximum(0, left))])

    def assigned(self, vectors: np.ndarray, margin: float = 0) -> Iterator[tuple[int, np.ndarray]]:
        """Blocks, and the rows of each; with a margin, a row so close to a cut is in both."""
        return self._assigned(self._root, vectors, np.arange(len(vectors)), margin)

    def _assigned(self, node, vectors, rows, margin):
        if isinstance(node, int):
            if len(rows) > 0:
                yield node, rows
            return
        dimension, value, below, above = node
        at = vectors[rows, dimension]
        yield from self._assigned(below, vectors, rows[at < value + margin], margin)
        yield from self._assigned(above, vectors, rows[at >= value - margin], margin)


def _norms(rows: np.ndarray) -> np.ndarray:
    """The lengths. Squares of float32 are finite in float64."""
    return np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))


def _of_length_1(rows: np.ndarray, norms: np.ndarray) -> np.ndarray:
    """Zeros stay zeros."""
    return rows / np.where(norms > 0, norms, 1)[:, np.newaxis]


# A block's rows and the least and largest numbers of their short vectors.
Box = tuple[int, np.ndarray, np.ndarray]
BOX_SCHEMA = "block int, rows long, least binary, most binary"


class Pairs:
    """The pairs of blocks that near pairs of rows may be in, and which of them a row goes to.

    A block of far more rows than meant is divided into parts; all parts are numbered through.
    """

    def __init__(self, cuts: Cuts, boxes: Iterable[tuple[int, Box]], cosine: float) -> None:
        shape = cuts.blocks, cuts.dimensions
        self._least, self._most = np.full(shape, np.inf), np.full(shape, -np.inf)  # no rows
        self._parts = np.ones(cuts.blocks, np.int64)
        for block, (rows, least, most) in boxes:
            self._least[block], self._most[block] = least, most
            self._parts[block] = -(-rows // (2 * _BLOCK_ROWS))
        self._first = np.cumsum(self._parts) - self._parts
        self._reach = 2 - 2 * cosine + 100 * _MARGIN
        each = range(cuts.blocks)
        self._near = np.array([self._reached(self._least, self._most, block) for block in each])

    def _reached(self, least: np.ndarray, most: np.ndarray, block: int) -> np.ndarray:
        """Which boxes are near enough to a block's."""
        gaps = np.maximum(0, np.maximum(self._least[block] - most, least - self._most[block]))
        return np.einsum("ij,ij->i", gaps, gaps) <= self._reach

    def of(
        self, vectors: np.ndarray, blocks: np.ndarray, hashes: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Rows, the pair of parts, low and high, that each goes to, and whether it is of the high
        one."""
        own = self._first[blocks] + hashes % self._parts[blocks]
        rows, others = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for block in np.flatnonzero(self._near[np.unique(blocks)].any(axis=0)):
            near = self._near[blocks, block] & self._reached(vectors, vectors, int(block))
            reaching = np.flatnonzero(near)
            for part in range(self._parts[block]):
                rows.append(reaching)
                others.append(np.full(len(reaching), self._first[block] + part))
        row, other = np.concatenate(rows), np.concatenate(others)
        part = own[row]
        return row, np.minimum(part, other), np.maximum(part, other), part > other


# What follows runs in the Python workers.


@in_worker
def sampled(batches):
    """id, vector -> vector, as bytes."""
    for _, rows, _ in _rows(batches):
        yield pa.record_batch({"vector": packed_rows(rows)})


@in_worker
def boxes(batches, cuts):
    """id, vector -> a box for each block that has rows here."""
    found = _Boxes()
    for _, rows, _ in _rows(batches, cuts.width):
        _, vectors = cuts.short(rows)
        # Where it is not sure to which block a row will go, it is in the boxes of both.
        for block, members in cuts.assigned(vectors, _MARGIN):
            of_block = vectors[members]
            found.add(block, (len(members), of_block.min(axis=0), of_block.max(axis=0)))
    yield from found.batches()


@in_worker
def merged_boxes(batches):
    found = _Boxes()
    for batch in batches:
        for row in batch.to_pylist():
            found.add(*box_of(row))
    yield from found.batches()


def box_of(row) -> tuple[int, Box]:
    """A block and its box, of a row of BOX_SCHEMA."""
    least, most = (np.frombuffer(row[name]) for name in ("least", "most"))
    return row["block"], (row["rows"], least, most)


class _Boxes:
    def __init__(self) -> None:
        self._boxes: dict[int, Box] = {}

    def add(self, block: int, box: Box) -> None:
        if block in self._boxes:
            (rows, least, most), (more, low, high) = self._boxes[block], box
            box = rows + more, np.minimum(least, low), np.maximum(most, high)
        self._boxes[block] = box

    def batches(self):
        if self._boxes:
            rows, least, most = zip(*self._boxes.values(), strict=True)
            columns = {
                "block": pa.array(self._boxes, pa.int32()),
                "rows": pa.array(rows, pa.int64()),
                "least": [box.tobytes() for box in least],
                "most": [box.tobytes() for box in most],
            }
            yield pa.record_batch(columns)


def _rows(batches, width=None):
    """id, vector and whatever else there is, some rows at a time."""
    for batch in batches:
        for start in range(0, len(batch), _ROWS_AT_ONCE):
            ids, vectors, *rest = batch.slice(start, _ROWS_AT_ONCE).columns
            rows = matrix(vectors, width)
            finite = np.isfinite(rows).all(axis=1)
            if not finite.all():
                raise ValueError(
                    f"the row {ids[int(np.argmin(finite))].as_py()!r} holds NaN, an infinity or a "
                    "number beyond float32: leave such rows out"
                )
            yield ids, rows, rest


@in_worker
def given_to_pairs(batches, cuts, pairs):
    """id, vector, hash of the id -> low, high, is_high, id, vector: a row for each pair of parts
    that it goes to, and of which of the two it is."""
    for ids, rows, (hashes,) in _rows(batches, cuts.width):
        kept, vectors = cuts.short(rows)
        blocks = np.empty(len(kept), np.int64)
        for block, members in cuts.assigned(vectors):
            blocks[members] = block
        columns = pairs.of(vectors, blocks, hashes.to_numpy()[kept])
        packed = packed_rows(rows)
        for start in range(0, len(columns[0]), _SENT_AT_ONCE):
            row, low, high, is_high = (column[start : start + _SENT_AT_ONCE] for column in columns)
            row = kept[row]
            yield pa.record_batch(
                {
                    "low": low,
                    "high": high,
                    "is_high": is_high,
                    "id": ids.take(row),
                    "vector": packed.take(row),
                }
            )


@in_worker
def compared(batches, cosine):
    """What given_to_pairs() gives, sorted -> a, b, cosine."""
    for (low, high), runs in itertools.groupby(_runs(batches), lambda run: run[:2]):
        sides: tuple[list, list] = [], []
        for _, _, is_high, batch in runs:
            sides[is_high].append(batch)
        a, b = sides[0], sides[low != high]
        if not (a and b):
            continue
        others = None if low == high else _vectors(b)
        found = near_pairs(_vectors(a), cosine, others, threads=1)
        ids_a, ids_b = (pa.concat_arrays([batch["id"] for batch in side]) for side in (a, b))
        for part in found.to_batches(max_chunksize=_PAIRS_AT_ONCE):
            columns = {"a": ids_a.take(part["a"]), "b": ids_b.take(part["b"])}
            yield pa.record_batch(columns | {"cosine": part["cosine"]})


def _vectors(batches):
    return pa.chunked_array([lists(batch["vector"]) for batch in batches])


def _runs(batches):
    """Pieces of one pair and one side: low, high, is_high, and the rows."""
    for batch in batches:
        keys = np.column_stack(
            [batch[name].to_numpy(zero_copy_only=False) for name in ("low", "high", "is_high")]
        )
        ends = 1 + np.flatnonzero((keys[1:] != keys[:-1]).any(axis=1))
        for start, end in itertools.pairwise([0, *ends, len(batch)]):
            if end > start:
                low, high, is_high = (int(number) for number in keys[start])
                yield low, high, is_high, batch.slice(start, end - start)
