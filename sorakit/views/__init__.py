"""How the values look in a notebook. The values know nothing of this; IPython is told, by the names of their types."""

from __future__ import annotations


def register(ipython) -> None:
    """Teach this IPython shell to show sorakit's values. Nothing heavy is imported until one is shown."""
    from sorakit.views import pictures

    formatter = ipython.display_formatter.ipython_display_formatter
    for name, show in pictures.SHOWS.items():
        formatter.for_type_by_name("sorakit.types", name, show)
