"""A picture in a notebook that tells where it was clicked."""

from __future__ import annotations

import anywidget
import traitlets

SCRIPT = """
function render({ model, el }) {
  const image = document.createElement("img");
  image.className = "sorakit-picture";
  image.alt = model.get("alt");
  image.style.cssText = "max-width: 100%; cursor: crosshair; display: block";
  const draw = () => {
    URL.revokeObjectURL(image.src);
    image.src = URL.createObjectURL(new Blob([model.get("png")], { type: "image/png" }));
  };
  image.addEventListener("click", (event) => {
    const box = image.getBoundingClientRect();
    model.set("spot", [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height]);
    model.save_changes();
  });
  model.on("change:png", draw);
  draw();
  el.append(image);
  return () => { model.off("change:png", draw); URL.revokeObjectURL(image.src); };
}
export default { render };
"""


class ClickPicture(anywidget.AnyWidget):
    """png: the picture; spot: where it was clicked last, (x, y) in shares of its width and height."""

    _esm = SCRIPT
    png = traitlets.Bytes().tag(sync=True)
    alt = traitlets.Unicode("a picture to click").tag(sync=True)
    spot = traitlets.List(traitlets.Float(), default_value=[]).tag(sync=True)
