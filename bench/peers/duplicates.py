#!/usr/bin/env python3
"""Which of the changed pictures of bench/audit_truth.py a tool calls near duplicates of their
originals, with the tool's defaults, and how many pairs of different pictures it calls so.

    bench/peers/duplicates.py TREE TOOL

TREE: what `bench/audit_truth.py --tree` leaves. TOOL: pomona, pomona-0.95, imagededup-phash,
imagededup-dhash, fastdup or cleanvision; each needs its package (imagededup 0.3.3.post2, fastdup
2.54, CleanVision 0.3.7) and no other. Prints a line for each change.
"""

import collections
import csv
import itertools
import pathlib
import sys
import tempfile


def pomona(cosine):
    def find(files):
        import pomona as package

        extracted = package.Extractor().extract([str(file) for file in files])
        pairs = package.near_pairs(extracted["features"].combine_chunks(), cosine)
        return zip(pairs["a"].to_pylist(), pairs["b"].to_pylist(), strict=True)

    return find


def imagededup(method):
    def find(files):
        import imagededup.methods

        hasher = getattr(imagededup.methods, method)()
        hashes = {str(place): hasher.encode_image(file) for place, file in enumerate(files)}
        found = hasher.find_duplicates(encoding_map=hashes)
        return [(int(a), int(b)) for a, others in found.items() for b in others]

    return find


def fastdup(files):
    import fastdup as package

    place = places(files)
    with tempfile.TemporaryDirectory() as work:
        # Of its default, the two nearest, a picture's own copies would crowd out one another.
        package.run(list(place), work_dir=work, nearest_neighbors_k=20, verbose=False)
        with open(pathlib.Path(work) / "similarity.csv") as table:
            return [(place[row["from"]], place[row["to"]]) for row in csv.DictReader(table)]


def cleanvision(files):
    from cleanvision import Imagelab

    place = places(files)
    lab = Imagelab(filepaths=list(place))
    lab.find_issues({"near_duplicates": {}})
    sets = lab.info["near_duplicates"]["sets"]
    return [(place[a], place[b]) for group in sets for a, b in itertools.combinations(group, 2)]


def places(files):
    return {str(file): number for number, file in enumerate(files)}


TOOLS = {
    "pomona": pomona(0.98),
    "pomona-0.95": pomona(0.95),
    "imagededup-phash": imagededup("PHash"),
    "imagededup-dhash": imagededup("DHash"),
    "fastdup": fastdup,
    "cleanvision": cleanvision,
}


def main():
    tree, tool = pathlib.Path(sys.argv[1]), sys.argv[2]
    files = sorted(file for file in tree.rglob("*") if file.is_file())
    names = [(file.parent.name, *file.stem.split("|")) for file in files]
    pairs = {frozenset(pair) for pair in TOOLS[tool](files)}
    found: collections.Counter[str] = collections.Counter()
    others = 0
    for pair in pairs:
        if len(pair) < 2:
            continue
        (*picture, change), (*another, other) = sorted((names[i] for i in pair), key=lambda n: n[2])
        if picture != another:
            others += 1
        elif not change:
            found[other] += 1
    pictures = sum(name[2] == "" for name in names)
    for change in dict.fromkeys(name[2] for name in names if name[2]):
        print(f"{change}: {100 * found[change] / pictures:.0f} %")
    per_picture = collections.Counter(name[:2] for name in names)
    same = sum(count * (count - 1) // 2 for count in per_picture.values())
    different = len(names) * (len(names) - 1) // 2 - same
    print(f"pairs of different pictures: {others} of {different}")


if __name__ == "__main__":
    main()
