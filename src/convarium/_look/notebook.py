"""The page in a notebook: in a frame of its own, with what is looked at readable from Python."""

from __future__ import annotations

import html
from typing import Any

from .._files.failures import extra

HEIGHT = 780  # pixels

# The page tells its frame's parent what is looked at; here that becomes a trait.
ESM = """
function render({ model, el }) {
  const frame = document.createElement("iframe");
  frame.style.cssText = "width: 100%; border: 1px solid #d5dae1; border-radius: 6px";
  frame.height = model.get("height");
  frame.srcdoc = model.get("page");
  const hear = (event) => {
    if (event.source !== frame.contentWindow || !event.data || !event.data.convarium) return;
    model.set("selection", event.data.convarium);
    model.save_changes();
  };
  window.addEventListener("message", hear);
  el.appendChild(frame);
  return () => window.removeEventListener("message", hear);
}
export default { render };
"""


def widget(page: str) -> Any:
    """An anywidget of this page; its trait ``selection`` follows the reader."""
    anywidget, traitlets = extra("anywidget", "look"), extra("traitlets", "look")

    traits = {
        "_esm": ESM,
        "page": traitlets.Unicode().tag(sync=True),
        "height": traitlets.Int(HEIGHT).tag(sync=True),
        "selection": traitlets.Dict().tag(sync=True),
    }
    return type("Look", (anywidget.AnyWidget,), traits)(page=page)


def frame(page: str) -> str:
    """HTML for notebooks without widgets."""
    return (
        f'<iframe srcdoc="{html.escape(page)}" width="100%" height="{HEIGHT}" '
        f'style="border: 1px solid #d5dae1; border-radius: 6px"></iframe>'
    )
