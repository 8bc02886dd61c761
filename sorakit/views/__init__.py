"""How the values look in a notebook. The values know nothing of this; IPython is told, by the names of their types.

Anything shown has a picture that also reads in a saved notebook and in print, and a text that never changes.
`run.explore()`, and the same of a film, a step, latents, a brief, conditioning and the stages themselves, are live.
"""

from __future__ import annotations

EXPLORERS = {  # type: the module of the views and the function in it that its `.explore()` calls
    ("sorakit.run", "Run"): "explorers.explore_run",
    ("sorakit.types", "Brief"): "explore_words.explore_brief",
    ("sorakit.types", "Conditioning"): "explore_words.explore_conditioning",
    ("sorakit.types", "DenoisingStep"): "explorers.explore_step",
    ("sorakit.types", "Latents"): "explorers.explore_latents",
    ("sorakit.types", "Video"): "explorers.explore_video",
    ("sorakit.prompt.reader", "Reader"): "explore_words.explore_reader",
    ("sorakit.latent.text", "TextEncoder"): "explore_words.explore_text_encoder",
    ("sorakit.latent.autoencoder", "Autoencoder"): "explore_models.explore_autoencoder",
    ("sorakit.transformer.model", "Transformer"): "explore_models.explore_transformer",
    ("sorakit.diffusion.sampler", "Sampler"): "explorers.explore_sampler",
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

    for (module, name), home in EXPLORERS.items():
        getattr(import_module(module), name).explore = _explore(home)


def _explore(home: str):
    def explore(self, *args, **options):
        """A live view: controls beside a picture. `.close()` on what it gives takes it away again."""
        from importlib import import_module

        module, function = home.split(".")
        return getattr(import_module(f"sorakit.views.{module}"), function)(self, *args, **options)

    return explore
