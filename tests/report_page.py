"""A report as a program reads it."""

import array
import base64
import html.parser
import io
import json
import zlib

from PIL import Image


class Page(html.parser.HTMLParser):
    """What stands in the page's data: sections by id, arrays by name."""

    def __init__(self, path):
        super().__init__()
        self.path = path
        self.sections, self.arrays = {}, {}
        self.script = None
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.script = dict(attrs) if tag == "script" else None

    def handle_endtag(self, tag):
        self.script = None

    def handle_data(self, data):
        if not self.script:
            return
        if self.script.get("type") == "application/json":
            section = json.loads(data)
            self.sections[section["id"]] = section
        elif self.script.get("type") == "application/base64":
            self.arrays[self.script["id"]] = base64.b64decode(data, validate=True)

    def block(self, section, kind, title=None):
        (block,) = [
            block
            for block in self.sections[section]["blocks"]
            if block["block"] == kind and title in (None, block.get("title"))
        ]
        return block

    def facts(self, section):
        return {fact["name"]: fact["value"] for fact in self.block(section, "facts")["facts"]}

    def scores(self, component):
        how = self.block("scatter", "scatter")["components"][component - 1]
        assert how["type"] == "float32"
        return array.array("f", self.arrays[how["array"]])

    def paths(self):
        return zlib.decompress(self.arrays["paths"]).decode().split("\0")[:-1]

    def labels(self):
        block = self.block("scatter", "scatter")
        numbers = array.array("H", zlib.decompress(self.arrays["point-labels"]))
        return [block["labels"][number] for number in numbers]

    def pictures(self):
        """Images by point."""
        return {
            point: Image.open(io.BytesIO(base64.b64decode(picture)))
            for point, picture in self.block("scatter", "scatter")["pictures"]
        }
