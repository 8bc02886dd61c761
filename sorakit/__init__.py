"""sorakit: text-to-video that can be taken apart. `sorakit.load("nano")("a prompt")` is a film."""

import importlib
import os
import sys

__version__ = "0.1.0"

# Torch's threads otherwise spin while they wait for each other: 13 times slower as soon as another program is at work.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_HOMES = {"load": "pipeline", "Pipeline": "pipeline", "Video": "types", "Brief": "types", "Conditioning": "types",
          "Latents": "types", "DenoisingStep": "types", "Verdict": "types", "Refused": "safety.safety",
          "Asked": "types", "Element": "types", "Reference": "types", "Run": "run", "Change": "diffusion.sampler",
          "WeightsError": "weights"}
__all__ = [*_HOMES]


def __getattr__(name):
    """Names are looked up when first used, so that `import sorakit` does not wait for torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'sorakit' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"sorakit.{_HOMES[name]}"), name)


def __dir__():
    return sorted([*globals(), *__all__])


if "IPython" in sys.modules and (_shell := sys.modules["IPython"].get_ipython()):
    from sorakit.views import register

    register(_shell)
