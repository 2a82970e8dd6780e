"""What people do with a report, in a real browser: see conftest.py."""

import pytest
from axe_playwright_python.sync_playwright import Axe

pytestmark = pytest.mark.long

HOSTILE = ["<img src=x onerror=alert(1)>", "</script><script>alert(2)</script>", "a & b", "<!--"]


@pytest.fixture(scope="module")
def small(make_page):
    """Four labels whose names are markup, 300 images each."""
    return make_page(sorted(HOSTILE * 300))


def colours(page):
    """How many colours the canvas shows."""
    return page.evaluate("""() => {
      const canvas = document.querySelector('canvas');
      const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
      return new Set(new Uint32Array(data.buffer)).size;
    }""")


def picture(page):
    """The canvas after what was asked for is drawn."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))")
    return page.evaluate("() => document.querySelector('canvas').toDataURL()")


def place(page, fx, fy):
    canvas = page.locator("canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    return box["x"] + fx * box["width"], box["y"] + fy * box["height"]


def drag(page, *places):
    page.mouse.move(*place(page, *places[0]))
    page.mouse.down()
    for at in places[1:]:
        page.mouse.move(*place(page, *at), steps=5)
    page.mouse.up()


def test_shows_names_as_text(opened, small):
    page = opened(small)
    names = page.locator(".legend .name").all_inner_texts()
    assert sorted(names) == sorted(HOSTILE)
    assert page.locator("img[src=x]").count() == 0
    assert colours(page) > 4


def test_from_a_server(opened, serve, small):
    """Which no browser asks for an icon."""
    server = serve(small.parent)
    opened(small, f"{server.address}/{small.name}")
    assert server.asked == [f"/{small.name}"]


def test_moves_zooms_and_shows_all_again(opened, small):
    page = opened(small)
    first = picture(page)
    drag(page, (0.5, 0.5), (0.7, 0.6))
    moved = picture(page)
    page.mouse.wheel(0, -400)
    zoomed = picture(page)
    page.get_by_role("button", name="Show all").click()
    page.mouse.move(1, 1)
    assert len({first, moved, zoomed}) == 3
    assert picture(page) == first


def test_keys_move_and_zoom(opened, small):
    page = opened(small)
    first = picture(page)
    page.locator("canvas").focus()
    seen = {first}
    for key in ("ArrowLeft", "ArrowDown", "+", "n"):
        page.keyboard.press(key)
        seen.add(picture(page))
    assert len(seen) == 5
    assert "/nowhere/" in page.locator("p[role=status]").inner_text()


def test_hover_tells_label_and_path(opened, small):
    page = opened(small)
    at = page.evaluate("""() => {
      const canvas = document.querySelector('canvas'), ratio = devicePixelRatio;
      const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
      const pixels = new Uint32Array(data.buffer);
      for (let i = Math.floor(pixels.length / 2); ; ++i) {
        if (pixels[i] !== 0xffffffff && i % canvas.width > 100 * ratio &&
            i % canvas.width < canvas.width - 100 * ratio)
          return [i % canvas.width / canvas.width, i / canvas.width / canvas.height];
      }
    }""")
    page.mouse.move(*place(page, *at))
    page.wait_for_selector(".tip:not([hidden]) div")
    label = page.locator(".tip strong").inner_text()
    assert label in HOSTILE
    assert f"/nowhere/{label}/" in page.locator(".tip").inner_text()


def test_legend_filters(opened, small):
    page = opened(small)
    everything = picture(page)
    page.locator(".legend li input").first.uncheck()
    some = picture(page)
    page.get_by_role("button", name="None").click()
    nothing = picture(page)
    page.get_by_role("button", name="All", exact=True).click()
    assert len({everything, some, nothing}) == 3
    assert picture(page) == everything


def test_lasso_selects_and_copies(opened, small):
    page = opened(small)
    page.get_by_role("button", name="Lasso").click()
    drag(page, (0.02, 0), (0.999, 0), (0.999, 0.99), (0.02, 0.99), (0.02, 0.02))
    assert page.locator("p[role=status]").inner_text() == "1,200 images selected"
    rows = page.locator(".chosen tbody tr").all_inner_texts()
    assert sorted(row.split("\t")[0] for row in rows) == sorted(HOSTILE)
    page.get_by_role("button", name="Copy paths").click()
    page.wait_for_function(
        "() => document.querySelector('p[role=status]').textContent === '1,200 paths copied'"
    )
    paths = page.evaluate("() => navigator.clipboard.readText()").split("\n")
    assert len(paths) == len(set(paths)) == 1200
    assert all(path.startswith("/nowhere/") for path in paths)
    page.get_by_role("button", name="Clear").click()
    assert page.locator(".chosen").is_hidden()


def test_other_components(opened, small):
    page = opened(small)
    first = picture(page)
    page.get_by_label("Across").select_option("9")
    page.wait_for_timeout(300)
    assert picture(page) != first


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 380])
def test_axe_finds_nothing(opened, small, scheme, width):
    page = opened(small, color_scheme=scheme, viewport={"width": width, "height": 900})
    page.get_by_role("button", name="Select what is in view").click()
    found = Axe().run(page).response["violations"]
    assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found] == []
    # Nothing is wider than the screen.
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width


def test_rejects(opened, make_page):
    page = opened(make_page(["a"] * 20, rejects=1000))
    rows = page.locator("#rejects table[aria-label='Rejected images'] tbody tr")
    assert rows.count() == 500
    assert "/nowhere/<i>0</i>.jpg" in rows.first.inner_text()
    assert "and 500 more rejects" in page.locator("#rejects").inner_text()


def test_many_labels(opened, make_page):
    page = opened(make_page(sorted(f"label {i % 5000:04}" for i in range(10_000))))
    assert page.locator(".legend li").count() == 500
    assert "and 4,500 more labels" in page.locator(".legend").inner_text()
    page.get_by_label("Find a label").fill("label 4321")
    assert page.locator(".legend .name").all_inner_texts() == ["label 4321"]
    assert page.locator("#labels tbody tr").count() == 500
    assert "and 4,500 more labels with 9,000 images" in page.locator("#labels").inner_text()


def test_a_million_points(opened, make_page):
    file = make_page(sorted(f"label {i % 100:02}" for i in range(1_000_000)))
    assert file.stat().st_size < 20e6
    page = opened(file)
    assert colours(page) > 50
    page.locator("canvas").scroll_into_view_if_needed()
    milliseconds = page.evaluate("""() => new Promise((done) => {
      const canvas = document.querySelector('canvas'), times = [];
      const box = canvas.getBoundingClientRect();
      const send = (name, x) => canvas.dispatchEvent(new PointerEvent(name, {
        pointerId: 1, clientX: box.x + x, clientY: box.y + 200}));
      canvas.setPointerCapture = () => {};
      send('pointerdown', 300);
      let x = 300, last = performance.now();
      const step = () => {
        const now = performance.now();
        times.push(now - last);
        last = now;
        if (times.length === 30) {
          send('pointerup', x);
          return done(times.sort((a, b) => a - b)[15]);
        }
        send('pointermove', x += 3);
        requestAnimationFrame(step);
      };
      requestAnimationFrame(step);
    })""")
    started = page.evaluate("() => performance.getEntriesByName('first drawing')[0].startTime")
    print(f"first drawing after {started:.0f} ms, a frame of a drag {milliseconds:.1f} ms")
    page.get_by_role("button", name="Show all").click()
    page.get_by_role("button", name="Select what is in view").click()
    assert page.locator("p[role=status]").inner_text() == "1,000,000 images selected"


def test_prints(opened, small, tmp_path):
    page = opened(small)
    page.pdf(path=tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").stat().st_size > 20_000
