"""Where to compute."""

from __future__ import annotations

import contextlib

import torch


def pick_device(name: str | torch.device | None = None) -> torch.device:
    """The named device, or the best one here: CUDA, then Apple's MPS, then the CPU.

    Raises ValueError for a device that this machine does not have.
    """
    have = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    name = None if name is None else str(name)
    if name is None:
        return torch.device(next(kind for kind, there in have.items() if there))
    if not have.get(name.split(":")[0], False):
        raise ValueError(f"device={name!r} is not on this machine; it has {', '.join(k for k in have if have[k])}")
    return torch.device(name)


def autocast(device: torch.device, half: bool = False):
    """bf16 on CUDA, where it is fast; fp32 elsewhere (on a CPU without bf16 units it is hundreds of times slower),
    except with half."""
    return torch.autocast(device.type, torch.bfloat16) if half or device.type == "cuda" else contextlib.nullcontext()
