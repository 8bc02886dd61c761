"""Live views: controls beside a picture. What they draw is a function of the controls' values and of nothing else."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable, Mapping

import ipywidgets as widgets
from PIL import Image

from sorakit.views.charts import Chart
from sorakit.views.clicks import ClickPicture


class Explorer:
    """Controls and a picture. `draw(**values)` makes the picture from the controls' values.

    Args:
        draw: a pure function of the values, by the controls' names. What it raises stands below the picture, and is
            raised on.
        controls: widgets with a value, by name.
        click: the pixel (x, y) of the picture that was clicked, and the values, to new values of some controls.
        idle: which controls do nothing at these values; they are greyed.
    """

    def __init__(self, draw: Callable[..., Image.Image | Chart], controls: Mapping[str, widgets.ValueWidget],
                 click: Callable[..., dict] | None = None, alt: str = "the picture of an explorer",
                 idle: Callable[..., set[str]] = lambda **values: set()):
        self.draw, self.controls, self.click, self.idle = draw, dict(controls), click, idle
        self.picture = ClickPicture(alt=alt)
        self.trouble = widgets.HTML()
        row = widgets.HBox(list(self.controls.values()), layout={"flex_flow": "row wrap"})
        self.box = widgets.VBox([row, self.picture, self.trouble], layout={"max_width": "980px"})
        self.box.add_class("sorakit-explorer")
        self._setting = False
        for control in self.controls.values():
            control.observe(self._moved, "value")
        if click:
            self.picture.observe(self._clicked, "spot")
        self._moved()

    @property
    def values(self) -> dict:
        return {name: control.value for name, control in self.controls.items()}

    def set(self, **values) -> None:
        """Move several controls at once; the picture is drawn once."""
        self._setting = True
        try:
            for name, value in values.items():
                self.controls[name].value = value
        finally:
            self._setting = False
        self._moved()

    def close(self) -> None:
        """Take everything away, here and in the browser."""
        close(self.box)

    def _moved(self, change=None) -> None:
        if self._setting:
            return
        for name, control in self.controls.items():
            control.disabled = name in self.idle(**self.values)
        try:
            self.picture.png = png(self.draw(**self.values))
            self.trouble.value = ""
        except Exception as error:
            self.trouble.value = f"<pre>{html.escape(f'{type(error).__name__}: {error}')}</pre>"
            raise

    def _clicked(self, change) -> None:
        with Image.open(io.BytesIO(self.picture.png)) as shown:
            width, height = shown.size
        x, y = self.picture.spot
        self.set(**self.click(x * width, y * height, **self.values))

    def __repr__(self):
        return f"Explorer({', '.join(self.controls)})"

    def _repr_mimebundle_(self, **options):
        return self.box._repr_mimebundle_(**options) | still(self)


class Explorers:
    """Several explorers behind tabs; `explorers["attention"]` is one of them."""

    def __init__(self, parts: Mapping[str, Explorer]):
        self.parts = dict(parts)
        self.box = widgets.Tab([part.box for part in self.parts.values()], titles=tuple(self.parts))

    def __getitem__(self, name: str) -> Explorer:
        return self.parts[name]

    def close(self) -> None:
        close(self.box)

    def __repr__(self):
        return f"Explorers({', '.join(self.parts)})"

    def _repr_mimebundle_(self, **options):
        first = next(iter(self.parts.values()))
        return self.box._repr_mimebundle_(**options) | still(first) | {"text/plain": repr(self)}


def still(explorer: Explorer) -> dict[str, str]:
    """What stands in a notebook that is printed: the picture as it is now, and a text that does not change."""
    return {"image/png": base64.b64encode(explorer.picture.png).decode(), "text/plain": repr(explorer)}


def close(widget: widgets.Widget) -> None:
    """Close a widget and all that belongs to it; nothing of it stays in the kernel."""
    for child in getattr(widget, "children", ()):
        close(child)
    for name in ("layout", "style"):
        part = getattr(widget, name, None)
        if isinstance(part, widgets.Widget):
            part.close()
    widget.unobserve_all()
    widget.close()


def png(picture: Image.Image | Chart) -> bytes:
    if isinstance(picture, Chart):
        return picture.png()
    data = io.BytesIO()
    picture.save(data, "PNG")
    return data.getvalue()


# --- controls ---------------------------------------------------------------------------------------


def slider(name: str, greatest: int, value: int = 0) -> widgets.IntSlider:
    """From 0 to the greatest; not shown where there is nothing to choose from."""
    shown = {} if greatest else {"display": "none"}
    return widgets.IntSlider(value, min=0, max=greatest, description=name, layout={"width": "300px", **shown})


def check(name: str) -> widgets.Checkbox:
    return widgets.Checkbox(False, description=name, indent=False, layout={"width": "120px"})
