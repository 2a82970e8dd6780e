"""Writes what CleanVision finds in a folder, as JSON: cleanvision_issues.py FOLDER FILE

For each image, by its path: scores, verdicts and the statistics that they come from.
"""

import json
import sys

from cleanvision import Imagelab
from cleanvision.issue_managers.image_property import (
    BlurrinessProperty,
    BrightnessProperty,
    EntropyProperty,
)
from PIL import Image


def main(folder, found):
    lab = Imagelab(data_path=folder, verbose=False)
    lab.find_issues(n_jobs=1, verbose=False)
    issues = json.loads(lab.issues.to_json(orient="index"))
    properties = (BrightnessProperty("dark"), EntropyProperty(), BlurrinessProperty())
    for path, row in issues.items():
        with Image.open(path) as image:
            for of in properties:
                row |= {name: float(value) for name, value in of.calculate(image).items()}
    with open(found, "w", encoding="utf-8") as file:
        json.dump(issues, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
