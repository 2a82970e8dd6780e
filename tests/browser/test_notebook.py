"""What a notebook shows of runs: Jupyter executes it, Chromium opens the page that it exports."""

import html

import pytest
from axe_playwright_python.sync_playwright import Axe

pytestmark = pytest.mark.long

pytest.importorskip("pomona", reason="the package is not installed")
import nbclient  # noqa: E402
import nbconvert  # noqa: E402
import nbformat  # noqa: E402

HOSTILE = ["<img src=x onerror=alert(1)>", "</table><b>bold", "a & b", "[link](x) `code`"]

CELLS = [
    "import pomona",
    "summary = pomona.run('tree', 'out', run_id='one', pca_components=3, progress=True)",
    "summary",
    "pomona.Run('out', 'one')",
    "pomona.runs('out')",
    "print(pomona.Run('out'))",
    "pomona.delete('out', 'one'); summary",
]
SHOWN = [2, 3, 4, 6]  # as markup of ours


@pytest.fixture(scope="module")
def notebook(sample_tree, tmp_path_factory):
    """Executed, in a folder with a tree whose labels are markup."""
    folder = tmp_path_factory.mktemp("notebook")
    images = iter(sorted(sample_tree.rglob("*.jpg")))
    for label in HOSTILE:
        place = folder / "tree" / label.replace("/", "\u2215")
        place.mkdir(parents=True)
        for _ in range(3):
            image = next(images)
            (place / image.name).write_bytes(image.read_bytes())
    (place / "<i>empty.jpg").write_bytes(b"")
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    client = nbclient.NotebookClient(
        made, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    return made


def outputs(notebook, cell, kind):
    """Of a cell, what it gave as `kind`."""
    return [
        output.data[kind]
        for output in notebook.cells[cell].outputs
        if kind in output.get("data", {})
    ]


@pytest.fixture
def exported(notebook, browser, tmp_path):
    """exported(theme) is the notebook's page, which gets nothing from the network."""
    contexts = []

    def exported(theme):
        exporter = nbconvert.HTMLExporter(theme=theme)
        file = tmp_path / f"{theme}.html"
        file.write_text(exporter.from_notebook_node(notebook)[0], encoding="utf-8")
        contexts.append(browser.new_context(viewport={"width": 1200, "height": 900}))
        page = contexts[-1].new_page()
        page.route(lambda url: not url.startswith("file:"), lambda route: route.abort())
        page.goto(file.as_uri())
        return page

    yield exported
    for context in contexts:
        context.close()


def test_the_bar_is_a_widget(notebook):
    """tqdm's for notebooks, which is done when the run is."""
    (view,) = outputs(notebook, 1, "application/vnd.jupyter.widget-view+json")
    widgets = notebook.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]
    children = widgets[view["model_id"]]["state"]["children"]
    states = [widgets[child.removeprefix("IPY_MODEL_")]["state"] for child in children]
    assert [state["bar_style"] for state in states if "bar_style" in state] == ["success"]
    assert [output for output in notebook.cells[1].outputs if output.output_type == "stream"] == []


def test_a_summary_shows_what_its_run_does(notebook):
    (summary,), (run,) = (outputs(notebook, cell, "text/html") for cell in (2, 3))
    assert summary == run
    assert "<caption>run one</caption>" in run
    # Of a run that is not there any more.
    (gone,) = outputs(notebook, 6, "text/html")
    assert gone.startswith("<pre>run one: 12 images")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_page_of_it(exported, theme):
    page = exported(theme)
    assert (
        page.locator("body").get_attribute("data-jp-theme-light") == str(theme == "light").lower()
    )
    ours = page.locator(".jp-RenderedHTML")
    assert ours.count() == len(SHOWN)
    text = ours.nth(1).inner_text()
    for label in HOSTILE:
        assert label.replace("/", "\u2215") in text
    assert page.locator("img[src=x], .jp-RenderedHTML b, .jp-RenderedHTML a").count() == 0
    assert "images\t12 in " in text
    assert "rejects\t1: empty 1" in text
    # Bars are as long as their numbers, and are seen.
    bars = page.evaluate("""() => [...document.querySelectorAll('.jp-RenderedHTML')[1]
      .querySelectorAll('table')[1].querySelectorAll('tbody tr')].map((row) => {
        const bar = row.querySelector('span[aria-hidden]');
        return [parseFloat(row.querySelector('td').textContent), bar.getBoundingClientRect().width,
                getComputedStyle(bar).backgroundColor, getComputedStyle(row).color];
      })""")
    assert len(bars) == 3
    for share, width, background, ink in bars:
        assert width == pytest.approx(bars[0][1] * share / bars[0][0], rel=0.02, abs=1)
        assert background == ink
    for number in range(len(SHOWN)):
        ours.nth(number).evaluate("(place, id) => { place.id = id; }", f"ours-{number}")
        found = Axe().run(page, context=f"#ours-{number}").response
        assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found["violations"]] == []
        # It looked at something.
        assert "color-contrast" in [rule["id"] for rule in found["passes"]]


def test_other_themes(browser, notebook):
    """Our tables alone, on any background: ink and paper are not ours."""
    (run,) = outputs(notebook, 3, "text/html")
    page = browser.new_page()
    for ink, paper in (("#000", "#fff"), ("#eee", "#111"), ("#ff0", "#008")):
        page.set_content(
            f"<html lang=en><title>{html.escape('a & b')}</title>"
            f"<body style='color:{ink};background:{paper}'><main><h1>A notebook</h1>{run}</main>"
        )
        found = Axe().run(page).response["violations"]
        assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found] == []
    page.close()
