"""Where a scene takes place: `backdrop` paints each of the 14 settings as a stack of layers, from far to near."""

from __future__ import annotations

from . import settings_city as city
from . import settings_elsewhere as elsewhere
from . import settings_nature as nature
from . import settings_water as water
from .paint import Backdrop, Frame

_SETTINGS = {
    "wildflower field": nature.wildflower_field,
    "beach": water.beach,
    "city street": city.city_street,
    "tokyo street": city.tokyo_street,
    "highway": city.highway,
    "forest": nature.forest,
    "mountain lake": water.mountain_lake,
    "desert": nature.desert,
    "snowfield": nature.snowfield,
    "open sea": water.open_sea,
    "underwater": water.underwater,
    "outer space": elsewhere.outer_space,
    "stage": elsewhere.stage,
    "park": nature.park,
}


def backdrop(setting: str, frame: Frame) -> Backdrop:
    """The layers of a setting, in the light and shape of a frame."""
    return _SETTINGS[setting](frame)
