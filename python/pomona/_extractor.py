"""Images -> features."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import _core, _inputs
from ._options import DEFAULTS, Cpu, Engine

if TYPE_CHECKING:
    import pyarrow


class Extractor(_core.Extractor):
    """Images -> MobileNetV2 features, on threads of its own, without the GIL.

    Threads: one caller at a time; others wait. A pickled one, and one in a forked child, works with
    threads of its own.

    Parameters
    ----------
    weights : path or bytes, optional
        A file made by `pomona weights`; None: the ImageNet weights.
    threads : int
        Worker threads; 0: one for each core that this process may use.
    engine, device, cpu, memory : str
        As in run().
    """

    def __init__(
        self,
        weights: str | os.PathLike[str] | bytes | None = None,
        *,
        threads: int = DEFAULTS.threads,
        engine: Engine = DEFAULTS.engine,
        device: str = DEFAULTS.device,
        cpu: Cpu = DEFAULTS.cpu,
        memory: str = DEFAULTS.memory,
    ) -> None:
        if weights is not None and not isinstance(weights, bytes):
            weights = os.fspath(weights)
        self._options = {"threads": threads, "engine": engine, "device": device, "cpu": cpu}
        if memory:
            self._options["memory"] = memory
        self._weights = weights
        super().__init__(weights, self._options)

    def extract(
        self,
        images: Any,
        *,
        paths: Any = None,
        progress: Callable[[str, int, int], object] | None = None,
    ) -> pyarrow.Table:
        """Features of several images.

        Parameters
        ----------
        images : sequence or Arrow array
            Each a path, the bytes of an image file, a Pillow image, or pixels (a uint8 array of
            height x width x 3, RGB); or an Arrow array of binary (bytes) or string (paths).
        paths : sequence or Arrow array of str, optional
            What the images are called, where their bytes are given.
        progress : callable, optional
            Called as progress("extract", done, total), several times a second.

        Returns
        -------
        pyarrow.Table
            A row for each image, in order: path, label (the name of the parent folder), verdict
            ("ok", "reject", or "skip" for a file that is no image), features (list of float32, null
            unless ok), and stage, reason and message of what failed. No image makes this raise.
        """
        return self._extract(_inputs.images(images), _inputs.names(paths), progress)

    def __reduce__(self):
        return _make, (type(self), self._weights, self._options)

    def __repr__(self) -> str:
        given = [] if self._weights is None else [_brief(self._weights)]
        given += [f"{name}={value!r}" for name, value in self._options.items()]
        return f"Extractor({', '.join(given)})"


def _make(cls, weights, options):
    return cls(weights, **options)


def _brief(weights: str | bytes) -> str:
    return repr(weights) if isinstance(weights, str) else f"<{len(weights)} bytes>"
