"""What is seen of a report against what its run's tables say."""

import base64
import io
import re

import drawing
import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.long

# Four groups of different sizes, so that none has the colour, or the bar, of another.
LABELS = ["apple"] * 40 + ["cherry"] * 160 + ["lemon"] * 80 + ["pear"] * 320

CANVAS = "document.querySelector('canvas')"
PAPER = "() => getComputedStyle(document.querySelector('.plot')).backgroundColor"


@pytest.fixture(scope="module")
def file(make_page):
    return make_page(LABELS)


def picture_of(page):
    """The canvas as it is on the screen, its size in pixels of the page, and how many of the
    screen's such a one is."""
    canvas = page.locator("canvas")
    canvas.scroll_into_view_if_needed()
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))")
    size = page.evaluate("() => [$0.clientWidth, $0.clientHeight]".replace("$0", CANVAS))
    ratio = page.evaluate("() => devicePixelRatio")
    box = canvas.bounding_box()
    screen = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))
    x, y = round(ratio * box["x"]), round(ratio * box["y"])
    width, height = page.evaluate("() => [$0.width, $0.height]".replace("$0", CANVAS))
    return screen[y : y + height, x : x + width], size, ratio


def check(page, file, across=0, up=1):
    _, labels, scores = drawing.table(file)
    picture, size, ratio = picture_of(page)
    colours = {name: drawing.colour(style) for name, style in page.evaluate(drawing.LEGEND)}
    assert len(set(colours.values())) == len(set(LABELS))
    paper = drawing.colour(page.evaluate(PAPER))
    points = scores[:, across], scores[:, up], labels
    return drawing.check(picture, size, ratio, *points, colours, paper)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "ratio"), [(1200, 1), (1200, 2), (380, 3)])
def test_each_point_is_in_its_place_and_colour(opened, file, scheme, width, ratio):
    page = opened(
        file,
        color_scheme=scheme,
        viewport={"width": width, "height": 900},
        device_scale_factor=ratio,
    )
    assert check(page, file) > 1000


@pytest.mark.parametrize("ratio", [1.1, 1.5, 1.75])
def test_points_are_sharp_on_any_screen(new_chromium, file, ratio):
    """Where a pixel of the page is no whole number of the screen's, as on many a laptop."""
    with new_chromium(f"--force-device-scale-factor={ratio}") as browser:
        page = browser.new_context(no_viewport=True).new_page()
        page.goto(file.as_uri())
        page.wait_for_selector(".plot[data-ready]")
        picture, _, told = picture_of(page)
        assert told == pytest.approx(ratio)
        assert check(page, file) > 500
        # Colours between those of the points come from a picture that is stretched.
        height, width = picture.shape[:2]
        points = picture[40 : height // 2, width // 4 : width - 40].reshape(-1, 3)
        assert len(np.unique(points, axis=0)) <= len(set(LABELS)) + 1


def test_so_are_those_of_other_components(opened, file):
    page = opened(file)
    page.get_by_label("Across").select_option("6")
    page.get_by_label("Up").select_option("2")
    page.wait_for_timeout(300)
    assert check(page, file, across=6, up=2) > 1000


def test_colours_follow_the_system(opened, file):
    page = opened(file, color_scheme="light")
    light = page.evaluate(drawing.LEGEND)
    check(page, file)
    page.emulate_media(color_scheme="dark")
    check(page, file)
    assert page.evaluate(drawing.LEGEND) != light


def test_paper_is_light(opened, file):
    """Whatever the system's colours; afterwards they are as before."""
    page = opened(file, color_scheme="dark")
    dark = picture_of(page)[0]
    page.evaluate(
        """() => addEventListener('beforeprint', () => {
          const canvas = $canvas;
          window.printed = [canvas.toDataURL(), canvas.clientWidth, canvas.clientHeight,
                            ($legend)(), getComputedStyle(document.body).color];
        })""".replace("$canvas", CANVAS).replace("$legend", drawing.LEGEND)
    )
    page.pdf()
    picture, *size, legend, ink = page.evaluate("window.printed")
    content = base64.b64decode(picture.removeprefix("data:image/png;base64,"))
    printed = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    _, labels, scores = drawing.table(file)
    colours = {name: drawing.colour(style) for name, style in legend}
    points = scores[:, 0], scores[:, 1], labels
    assert drawing.check(printed, size, 1, *points, colours, (255, 255, 255)) > 1000
    assert max(drawing.colour(ink)) < 64
    assert (picture_of(page)[0] == dark).all()


def test_paper_shows_squares_as_squares(opened, file):
    page = opened(file)
    page.set_viewport_size({"width": 700, "height": 1000})
    page.emulate_media(media="print")
    page.wait_for_timeout(200)
    canvas = page.evaluate(f"() => [{CANVAS}.width, {CANVAS}.height]")
    box = page.locator("canvas").bounding_box()
    assert box["width"] / box["height"] == pytest.approx(canvas[0] / canvas[1], rel=0.01)


def test_colours_that_the_system_forces(opened, file):
    """Those of the points mean something, so that they stay, in the legend too."""
    page = opened(file, forced_colors="active")
    assert check(page, file) > 1000
    bar, ink = page.evaluate("""() => [document.querySelector('#labels .bar'), document.body].map(
      (of) => getComputedStyle(of).backgroundColor)""")
    assert bar != ink


def test_axes_tell_the_values(opened, browser, file):
    """What is written below and beside the plot stands where the table's values are."""
    page = opened(file)
    page.evaluate("""() => {
      window.written = [];
      const own = CanvasRenderingContext2D.prototype.fillText;
      CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
        written.push([text, x, y]);
        own.call(this, text, x, y);
      };
    }""")
    page.get_by_role("button", name="Show all").click()
    _, size, _ = picture_of(page)
    _, _, scores = drawing.table(file)
    x_axis, y_axis = drawing.axes(*scores[:, :2].T, *size)
    texts = page.evaluate("window.written")
    assert {"PC 1", "PC 2"} <= {text for text, _, _ in texts}
    numbers = [(float(text), x, y) for text, x, y in texts if re.fullmatch(r"-?[\d.]+", text)]
    bottom = max(y for _, _, y in numbers)
    below = [(value, x) for value, x, y in numbers if y == bottom]
    beside = [(value, y - 4) for value, x, y in numbers if y != bottom]
    assert len(below) >= 4 and len(beside) >= 4
    for axis, ticks in ((x_axis, below), (y_axis, beside)):
        for value, place in ticks:
            assert place == pytest.approx(axis.place(value), abs=1)


@pytest.fixture(scope="module")
def pictured(make_page):
    """A page with pictures."""
    return make_page(LABELS, images=True)


def lone_points(page, file):
    """Rows and places in the window of points that stand apart."""
    _, _, scores = drawing.table(file)
    _, size, _ = picture_of(page)
    box = page.locator("canvas").bounding_box()
    lone = drawing.apart(scores[:, 0], scores[:, 1], *size)
    assert len(lone) >= 10
    return [(row, (box["x"] + x, box["y"] + y)) for row, (x, y) in lone]


def check_tip(page, file, row):
    """That the page tells of the image of a row, and shows it."""
    paths, labels, scores = drawing.table(file)
    page.wait_for_function(
        "(path) => document.querySelector('.tip:not([hidden])')?.textContent.includes(path)",
        arg=paths[row],
        timeout=5000,
    )
    assert page.locator(".tip strong").inner_text() == labels[row]
    told = re.findall(r"PC \d+ (\S+?)(?:,|$)", page.locator(".tip").inner_text())
    assert [float(text) for text in told] == pytest.approx(scores[row, :2], rel=1e-4)
    shown = page.evaluate("""async () => {
      const image = document.querySelector('.tip img');
      await image.decode();
      const canvas = document.createElement('canvas').getContext('2d');
      canvas.drawImage(image, 0, 0);
      return [...canvas.getImageData(10, 10, 1, 1).data].slice(0, 3);
    }""")
    assert shown == pytest.approx(drawing.image_colour(paths[row]), abs=12)


def test_the_pointer_is_told_of_its_image(opened, pictured):
    page = opened(pictured)
    for row, place in lone_points(page, pictured):
        page.mouse.move(*place)
        check_tip(page, pictured, row)
    page.mouse.move(1, 1)
    page.wait_for_selector(".tip", state="hidden")


@pytest.mark.parametrize("width", [390, 1000])
def test_a_finger_is_told_of_its_image(opened, pictured, width):
    settings = {"viewport": {"width": width, "height": 844}, "device_scale_factor": 2}
    page = opened(pictured, has_touch=True, is_mobile=True, **settings)
    for row, place in lone_points(page, pictured)[:10]:
        page.touchscreen.tap(*place)
        check_tip(page, pictured, row)
        box = page.locator(".tip").bounding_box()
        across, up = place[0] - box["x"], place[1] - box["y"]
        assert not (0 < across < box["width"] and 0 < up < box["height"]), "the tip hides its point"
    # It goes along, and ends where other values are shown.
    place = "document.querySelector('.tip').style.cssText"
    before = page.evaluate(place)
    page.get_by_role("button", name="Zoom in").tap()
    page.wait_for_function(f"(before) => {place} !== before", arg=before)
    page.get_by_label("Across").select_option("4")
    page.wait_for_selector(".tip", state="hidden")


def test_bars_are_as_long_as_their_numbers(opened, file):
    page = opened(file)
    bars = page.evaluate("""() => [...document.querySelectorAll('#labels tbody tr')].map((row) =>
      [row.querySelector('th').textContent, row.querySelector('.number').textContent,
       row.querySelector('.bar').getBoundingClientRect().width,
       row.querySelector('td:last-child').clientWidth])""")
    assert [(name, int(count)) for name, count, _, _ in bars] == [
        ("pear", 320), ("cherry", 160), ("lemon", 80), ("apple", 40),
    ]  # fmt: skip
    longest = bars[0][2]
    assert longest > 100
    for _, count, length, room in bars:
        assert length == pytest.approx(longest * int(count) / 320, abs=1)
        assert length <= room


def test_variance_is_as_high_as_its_numbers(opened, file):
    page = opened(file)
    page.locator("#variance summary").click()
    rows = page.locator("#variance tbody tr").all_inner_texts()
    shares = [float(row.split("\t")[1].removesuffix(" %")) / 100 for row in rows]
    assert shares == pytest.approx([0.28 * 0.7**i for i in range(10)], abs=0.0005)
    boxes = page.evaluate("""() => [...document.querySelectorAll('#variance rect')].map((bar) => {
      const box = bar.getBoundingClientRect();
      return [box.height, box.bottom];
    })""")
    full = boxes[0][0] / shares[0]
    assert len({round(bottom) for _, bottom in boxes}) == 1
    for (height, _), share in zip(boxes, shares, strict=True):
        assert height == pytest.approx(full * share, abs=1)
    # The line of the sums ends as high as all of them together.
    line = page.evaluate("""() => {
      const line = document.querySelector('#variance .sum').getBoundingClientRect();
      return line.top;
    }""")
    assert boxes[0][1] - line == pytest.approx(full * sum(shares), abs=2)


@pytest.mark.parametrize(
    ("shares", "marks"), [([0.28 * 0.7**i for i in range(10)], 2), ([0.1] * 10, 3)]
)
def test_words_stand_beside_the_line(opened, make_page, shares, marks):
    """That say with how many components so much of the variance is reached."""
    page = opened(make_page(LABELS, shares=shares))
    texts = page.evaluate("""() => [...document.querySelectorAll('#variance svg text')]
      .filter((text) => text.textContent.includes(' with '))
      .map((text) => {
        const box = text.getBBox();
        if (box.y < 0) return 0;
        const line = document.querySelector('#variance .sum').points;
        let near = Infinity;
        for (let i = 1; i < line.length; ++i) {
          for (let t = 0; t <= 1; t += 0.01) {
            const x = line[i - 1].x + t * (line[i].x - line[i - 1].x);
            const y = line[i - 1].y + t * (line[i].y - line[i - 1].y);
            const dx = Math.max(box.x - x, 0, x - box.x - box.width);
            near = Math.min(near, Math.hypot(dx, Math.max(box.y - y, 0, y - box.y - box.height)));
          }
        }
        return near;
      })""")
    assert len(texts) == marks
    assert min(texts) > 1
