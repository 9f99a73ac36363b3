"""The view in a notebook: it shows itself, and what the reader looks at can be read from Python."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import convarium as cv
from convarium._look import notebook
from test_page import CHROMIUM, in_browser

VIEW = cv.look(torch.nn.Conv2d(1, 2, 3), torch.randn(1, 1, 5, 5))

# What a notebook does with a widget's module: a model with traits, and a place in the document.
HOST = """
<!doctype html><div id="place"></div><script type="module">
const values = JSON.parse(decodeURIComponent(atob("%s")));
const model = {
  get: (name) => values[name], set: (name, value) => (values[name] = value),
  save_changes: () => (window.saved = values.selection),
};
const made = await import(URL.createObjectURL(new Blob([%s], { type: "text/javascript" })));
window.forget = made.default.render({ model, el: document.getElementById("place") });
</script>
"""


@in_browser
def test_what_is_looked_at_is_a_trait(tmp_path):
    import base64
    import json
    from urllib.parse import quote

    from playwright.sync_api import sync_playwright

    widget = VIEW.widget("in a notebook")
    assert widget.selection == {}
    values = base64.b64encode(quote(json.dumps({"page": widget.page, "height": widget.height})).encode()).decode()
    path = tmp_path / "notebook.html"
    path.write_text(HOST % (values, json.dumps(notebook.ESM)))
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"file://{path}")
        inner = page.frame_locator("iframe")
        inner.get_by_role("tab", name="Filter gradient").click()
        inner.locator("[data-grid=gradWeight] .cells").focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_function("window.saved && window.saved.tap[1] === 1 && window.saved.view === 'filter'")
        saved = page.evaluate("window.saved")
        browser.close()
    assert saved == {
        "layer": "Conv2d", "view": "filter", "sample": 0, "in_channel": 0, "out_channel": 0, "output": [1, 1], "tap": [0, 1],
        "input": [1, 2],
    }  # fmt: skip
    widget.selection = saved
    assert widget.selection["tap"] == [0, 1]


def test_it_shows_itself_without_widgets():
    shown = VIEW._repr_html_()
    assert shown.startswith('<iframe srcdoc="&lt;!doctype html&gt;')
    assert shown.count('"') == 8  # nothing of the page ends the attribute


def test_without_anywidget_it_is_said_what_to_install():
    program = "import sys; sys.modules['anywidget'] = None\nimport torch, convarium as cv\n"
    program += (
        "try: cv.look(torch.ones(1, 1, 2), torch.ones(1, 1, 3)).widget()\nexcept ValueError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "anywidget is not installed: pip install 'convarium[look]'"


@pytest.mark.parametrize("name", ["anywidget", "matplotlib"])
def test_the_extra_names_it(name):
    project = (Path(__file__).parent.parent / "pyproject.toml").read_text()
    (line,) = (line for line in project.splitlines() if line.startswith("look ="))
    assert f'"{name}>=' in line
