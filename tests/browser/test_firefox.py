"""A report in Firefox, from a server: Firefox does not tell what it asks of a disk."""

import io
import time

import drawing
import firefox
import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.long

LABELS = ["</script><b>apple"] * 40 + ["cherry"] * 160 + ["lemon"] * 80 + ["pear"] * 320


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with firefox.started(tmp_path_factory.mktemp("firefox")) as started:
        yield started


def wait_for(page, expression):
    for _ in range(100):
        if page.evaluate(expression):
            return
        time.sleep(0.1)
    pytest.fail(f"{expression} does not become true; said: {page.said()}")


def test_what_goes_wrong_is_seen(browser, serve, tmp_path):
    """What the other test relies on."""
    (tmp_path / "bad.html").write_text(
        '<meta http-equiv="Content-Security-Policy" content="img-src data:">'
        "<script>console.error('wrong'); new Image().src = 'image'; fetch('other').then(() => {"
        "window.done = true; }); undefined.name</script>"
    )
    server = serve(tmp_path)
    page = browser.open(f"{server.address}/bad.html")
    wait_for(page, "window.done === true")
    said = "\n".join(page.said())
    for expected in ("wrong", "of undefined", f"img-src) at {server.address}/image"):
        assert expected in said
    assert page.asked() == [f"{server.address}/bad.html", f"{server.address}/other"]
    assert "/other" in server.asked


@pytest.mark.parametrize(("width", "ratio"), [(1200, 1), (380, 2)])
def test_a_report(browser, make_page, serve, width, ratio):
    file = make_page(LABELS, rejects=3)
    server = serve(file.parent)
    address = f"{server.address}/{file.name}"
    page = browser.open(address, width=width, ratio=ratio)
    wait_for(page, "document.querySelector('.plot').dataset.ready === 'yes'")
    paths, labels, scores = drawing.table(file)

    # The points are in their places and colours.
    page.evaluate("document.querySelector('.plot').scrollIntoView({behavior: 'instant'})")
    box = page.evaluate("""new Promise((done) => requestAnimationFrame(() => setTimeout(() => {
      const box = document.querySelector('canvas').getBoundingClientRect();
      done([box.x, box.y, box.width, box.height]);
    }, 100)))""")
    picture = np.asarray(Image.open(io.BytesIO(page.screenshot(*box))).convert("RGB"))
    legend = page.evaluate(f"({drawing.LEGEND})()")
    colours = {name: drawing.colour(style) for name, style in legend}
    assert colours.keys() == set(LABELS)
    points = scores[:, 0], scores[:, 1], labels
    white = (255, 255, 255)
    assert drawing.check(picture, box[2:], ratio, *points, colours, white) > 1000

    # The pointer finds them.
    lone = drawing.apart(scores[:, 0], scores[:, 1], *box[2:])
    assert len(lone) >= 3
    for row, (x, y) in lone[:10]:
        page.move(box[0] + x, box[1] + y)
        wait_for(page, "!document.querySelector('.tip').hidden")
        wait_for(page, f"document.querySelector('.tip').textContent.includes({paths[row]!r})")

    rejects = page.evaluate("document.querySelector('#rejects').innerText")
    assert "/nowhere/<i>2</i>.jpg" in rejects
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.said() == []
    assert page.asked() == [address]
    assert server.asked == [f"/{file.name}"]
