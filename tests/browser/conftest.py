"""Reports of made-up runs, opened in Debian's chromium."""

import contextlib
import functools
import http.server
import importlib.util
import json
import pathlib
import shutil
import subprocess
import threading

import numpy as np
import pytest

# `make test-long` runs these apart, in the environment of requirements/browser.txt.
if importlib.util.find_spec("playwright") is None:
    collect_ignore_glob = ["test_*.py"]
else:
    import drawing
    import PIL.Image
    import pyarrow as pa
    import pyarrow.parquet
    from playwright.sync_api import sync_playwright

COMPONENTS = 10
PART_ROWS = 20480


SHARES = [0.28 * 0.7**i for i in range(COMPONENTS)]


def write_run(output, labels, rejects=0, root="/nowhere", shares=SHARES):
    """The tables of a run of one image for each of `labels`; each label is a cloud of points."""

    def part(kind, name, number=0, extension="csv"):
        folder = output / kind / f"{name}_r"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "_SUCCESS").touch()
        return folder / f"part-{number:05}.{extension}"

    random = np.random.default_rng(7)
    names, numbers = np.unique(labels, return_inverse=True)
    places = random.normal(0, 4, (len(names), COMPONENTS))
    for number, begin in enumerate(range(0, len(labels), PART_ROWS)):
        of = numbers[begin : begin + PART_ROWS]
        scores = (places[of] + random.normal(0, 1, (len(of), COMPONENTS))).astype(np.float32)
        offsets = np.arange(0, scores.size + 1, COMPONENTS, dtype=np.int32)
        table = pa.table(
            {
                "path": [f"{root}/{names[i]}/{begin + k:07}.jpg" for k, i in enumerate(of)],
                "label": [str(names[i]) for i in of],
                "pca_features": pa.ListArray.from_arrays(offsets, pa.array(scores.ravel())),
            }
        )
        path = part("pca/parquet", "pca", number, "parquet")
        pyarrow.parquet.write_table(table, path, row_group_size=len(of), use_dictionary=False)

    model = {
        "variance_by_component": list(shares),
        "cumulative_variance": np.cumsum(shares).tolist(),
        "num_images_processed": len(labels),
        "original_dimensions": 1280,
        "model": "MobileNetV2",
        "weights": {"digest": "0123456789abcdef" * 4},
    }
    part("model_info", "model_info", extension="json").write_text(json.dumps(model))
    with part("errors", "errors").open("w", encoding="utf-8") as errors:
        errors.write("path,label,stage,reason,message\n")
        for i in range(rejects):
            errors.write(f"/nowhere/<i>{i}</i>.jpg,x,decode,corrupt,bad <b>bytes</b>\n")
    info = {
        "input": "/nowhere",
        "output": str(output),
        "counts": {"listed": len(labels) + rejects, "rows": len(labels), "rejects": rejects},
        "seconds": {"total": 2.5, "list": 0.1, "extract": 2.0, "fit": 0.2, "write": 0.2},
        "image_seconds": {"images": len(labels), "p50": 0.003, "p95": 0.004, "p99": 0.02},
    }
    part("run_info", "run_info", extension="json").write_text(json.dumps(info))


@pytest.fixture(scope="session")
def make_page(pomona, tmp_path_factory):
    """make_page(labels, rejects) is the file of a report; with `images` there are such, each of
    one colour."""

    def make_page(labels, rejects=0, images=False, shares=SHARES):
        folder = tmp_path_factory.mktemp("made-up")
        if images:
            write_run(folder / "out", labels, rejects, folder / "in", shares)
            for path in drawing.table(folder / "page.html")[0]:
                pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
                PIL.Image.new("RGB", (20, 20), drawing.image_colour(path)).save(path, quality=95)
        else:
            write_run(folder / "out", labels, rejects, shares=shares)
        page = folder / "page.html"
        subprocess.run([pomona, "report", folder / "out", "--output", page], check=True)
        return page

    return make_page


@contextlib.contextmanager
def chromium(sync, *options):
    program = shutil.which("chromium")
    if not program:
        pytest.skip("chromium is not installed: tools/install_packages.sh chromium")
    browser = sync.chromium.launch(executable_path=program, args=["--no-sandbox", *options])
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def new_chromium():
    """new_chromium(option, ...) is a context manager over one."""
    with sync_playwright() as playwright:
        yield functools.partial(chromium, playwright)


@pytest.fixture(scope="session")
def browser(new_chromium):
    with new_chromium() as browser:
        yield browser


@pytest.fixture
def opened(browser):
    """opened(file, ...) is the page drawn, which may say nothing to the console and ask for nothing
    but itself."""
    with contextlib.ExitStack() as stack:

        def opened(file, address=None, **settings):
            address = address or file.as_uri()
            settings = {"viewport": {"width": 1200, "height": 900}, **settings}
            context = browser.new_context(
                permissions=["clipboard-read", "clipboard-write"], **settings
            )
            page = context.new_page()
            said, asked = [], []
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.on("dialog", lambda dialog: said.append(dialog.message))
            page.on("request", lambda request: asked.append(request.url))

            def check():
                assert said == []
                assert [url for url in asked if not url.startswith("data:")] == [address]
                context.close()

            stack.callback(check)
            page.goto(address)
            page.wait_for_selector(".plot[data-ready]", timeout=120_000)
            return page

        yield opened


class Server:
    """Serves the files of `folder` at `address`; `asked` is what it was asked."""

    def __init__(self, folder):
        self.asked = asked = []

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *_):
                asked.append(self.path)

        handler = functools.partial(Handler, directory=folder)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def serve():
    """serve(folder) is a Server."""
    with contextlib.ExitStack() as stack:
        yield lambda folder: stack.enter_context(contextlib.closing(Server(folder)))
