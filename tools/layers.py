#!/usr/bin/env python3
"""Who may include whom: reads the #include lines of the code and compares them with ALLOWED.

A room is a folder of src, of include/pomona by way of OWNERS, or one of the two front ends. What is
below src without a folder of its own is the root, which every room stands on.
"""

import re
import sys
from pathlib import Path

# room: {a room that it may include: why}. Its own files and the root's go without saying. Stages
# that are not named here know nothing of each other: each can be read, tested and replaced alone.
ALLOWED = {
    "root": {},
    "s3": {},
    "source": {"s3": "a tree may lie in a bucket"},
    "decode": {},
    "weights": {},
    "infer": {"weights": "an engine is made of the folded layers"},
    "statistics": {"infer": "blur is judged in a small picture, which the resize makes"},
    "reduce": {},
    "sink": {},
    "sample": {},
    "store": {
        "s3": "an output may lie in a bucket",
        "reduce": "a fragment holds the moments of its rows",
    },
    "report": {
        "store": "it is made of a run's published tables",
        "s3": "images may lie in a bucket",
        "source": "it shows the images, where they can be read",
        "decode": "and their pixels",
        "infer": "which the resize makes small",
    },
    "audit": {
        "store": "it is made of a run's published tables, and published as they are",
        "reduce": "short vectors and distances come from the PCA",
        "sink": "it writes tables",
    },
    "pipeline": dict.fromkeys(
        (
            "s3",
            "source",
            "decode",
            "weights",
            "infer",
            "statistics",
            "reduce",
            "sink",
            "store",
            "report",
        ),
        "the job joins the stages; it alone sees all of them",
    ),
}

# A front end sees include/pomona, whichever room a header belongs to, and no private header: what
# the program can do, any other caller of the library can.
FRONT_ENDS = {"cli": "cli", "python/src": "python"}

# The room of each public header, so that a stage cannot reach a sister by way of include/pomona.
OWNERS = {
    "audit.h": "audit",
    "cancel.h": "root",
    "check.h": "pipeline",
    "cpu.h": "root",
    "decode.h": "decode",
    "device.h": "infer",
    "durations.h": "root",
    "engine.h": "infer",
    "executor.h": "pipeline",
    "extractor.h": "pipeline",
    "glob.h": "root",
    "index.h": "audit",
    "item.h": "root",
    "junit.h": "pipeline",
    "location.h": "root",
    "mobilenet_v2.h": "weights",
    "options.h": "root",
    "pca.h": "reduce",
    "pca_forms.h": "reduce",
    "preprocessing.h": "root",
    "printable.h": "root",
    "published_output.h": "store",
    "refusal.h": "root",
    "report.h": "report",
    "reports.h": "pipeline",
    "row_sink.h": "root",
    "run.h": "pipeline",
    "safetensors.h": "root",
    "sample.h": "sample",
    "sink.h": "sink",
    "source.h": "source",
    "statistics.h": "statistics",
    "transfers.h": "root",
    "verify.h": "store",
    "version.h": "root",
    "weights.h": "weights",
}

# (file, what it includes): why it breaks the rules today. One that is mended has to leave the
# table, so it only shrinks.
SNIFFING = "the first bytes of a large file say whether the rest is read"
EXCEPTIONS = {
    ("include/pomona/options.h", "include/pomona/sink.h"): "VectorLayout is an option, too",
    ("src/source/read_ahead.cc", "include/pomona/decode.h"): SNIFFING,
    ("src/source/tree.h", "include/pomona/decode.h"): SNIFFING,
}

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def room(path):
    """The room of a file; None where the tables above have none for it."""
    parts = Path(path).parts
    if parts[0] == "include":
        return OWNERS.get(parts[-1])
    if parts[0] == "src":
        folder = parts[1] if len(parts) > 2 else "root"
        return folder if folder in ALLOWED else None
    return next(name for folder, name in FRONT_ENDS.items() if path.startswith(folder + "/"))


def includes(file):
    """The files of this repository that a file includes, found as the compiler finds them."""
    for name in INCLUDE.findall(Path(file).read_text(encoding="utf-8")):
        for folder in (Path(file).parent, Path("src"), Path("include")):
            if (folder / name).is_file():
                yield str(folder / name)
                break


def breach(file, target):
    """The rule that this include breaks, or None."""
    here, there = room(file), room(target)
    if file.startswith("include/") and not target.startswith("include/"):
        return "a public header may include only public ones"
    if here == there:
        return None
    if here in FRONT_ENDS.values():
        is_public = target.startswith("include/")
        return None if is_public else f"{here} may include only include/pomona and its own files"
    if there == "root" or there in ALLOWED[here]:
        return None
    return f"{here} may include only {', '.join(['root', *ALLOWED[here]])}; this is of {there}"


def circle(graph):
    """A list of files each of which includes the next, the last one the first; or an empty list."""
    done: set[str] = set()
    way: list[str] = []

    def visit(file):
        if file in way:
            return [*way[way.index(file) :], file]
        if file not in done:
            way.append(file)
            for target in graph.get(file, ()):
                if found := visit(target):
                    return found
            done.add(way.pop())
        return []

    return next((found for file in graph if (found := visit(file))), [])


def main():
    files = sorted(
        str(path)
        for folder in ("include", "src", *FRONT_ENDS)
        for path in Path(folder).rglob("*")
        if path.suffix in (".h", ".cc")
    )
    mistakes = [f"{file}: tools/layers.py names no room for it" for file in files if not room(file)]
    if not mistakes:
        graph = {file: list(includes(file)) for file in files}
        broken = {
            (file, target): rule
            for file in files
            for target in graph[file]
            if (rule := breach(file, target))
        }
        mistakes += [
            f"{file} includes {target}: {rule}"
            for (file, target), rule in broken.items()
            if (file, target) not in EXCEPTIONS
        ]
        mistakes += [
            f"{file} does not break the rules with {target} any more: take it out of EXCEPTIONS"
            for file, target in EXCEPTIONS.keys() - broken.keys()
        ]
        if found := circle(graph):
            mistakes.append("these include each other: " + " -> ".join(found))
    sys.exit("\n".join(mistakes) if mistakes else 0)


if __name__ == "__main__":
    main()
