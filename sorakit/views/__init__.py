"""How the values look in a notebook. The values know nothing of this; IPython is told, by the names of their types.

Anything shown has a picture that also reads in a saved notebook and in print, and a text that never changes.
`run.explore()`, and the same of a film, a step, latents and a sampler, are live.
"""

from __future__ import annotations

EXPLORERS = {  # type: the function of `explorers` that its `.explore()` calls
    ("sorakit.run", "Run"): "explore_run",
    ("sorakit.types", "DenoisingStep"): "explore_step",
    ("sorakit.types", "Latents"): "explore_latents",
    ("sorakit.types", "Video"): "explore_video",
    ("sorakit.diffusion.sampler", "Sampler"): "explore_sampler",
}


def register(ipython) -> None:
    """Teach this IPython shell to show sorakit's values. What draws them is imported when one is first shown."""
    from sorakit.views import displays

    formatters = ipython.display_formatter
    for (module, name), show in displays.BUNDLES.items():
        formatters.mimebundle_formatter.for_type_by_name(module, name, show)
    for (module, name), show in displays.SHOWS.items():
        formatters.ipython_display_formatter.for_type_by_name(module, name, show)
    for (module, name), text in displays.TEXTS.items():
        formatters.formatters["text/plain"].for_type_by_name(module, name, text)
    attach()


def attach() -> None:
    """Give the values their `.explore()`."""
    from importlib import import_module

    for (module, name), function in EXPLORERS.items():
        getattr(import_module(module), name).explore = _explore(function)


def _explore(function: str):
    def explore(self, *args, **options):
        """A live view: controls beside a picture. `.close()` on what it gives takes it away again."""
        from sorakit.views import explorers

        return getattr(explorers, function)(self, *args, **options)

    return explore
