"""What ships: trained weights in safetensors shards of at most 16 MiB, with a card and a checked sha256 of each."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from ..whole import whole

HERE = Path(__file__).parent
SHARD_BYTES = 16 * 2**20


class WeightsError(ValueError):
    """Weights that are missing, damaged or not what their card says."""


@dataclass(frozen=True, eq=False)
class Weights:
    """Trained tensors and their card (sizes, recipe, cost, scores)."""

    autoencoder: dict[str, torch.Tensor]
    flow: dict[str, torch.Tensor]      # text encoder under `text.`, transformer under `transformer.`
    card: dict


def shipped() -> list[str]:
    """The names of the presets that came with this installation."""
    return sorted(path.parent.name for path in HERE.glob("*/card.json"))


def load_weights(name: str | Path = "nano") -> Weights:
    """A shipped preset by its name, or a folder that `save_weights` wrote; in fp32.

    Raises WeightsError when the folder, its card or a shard is missing, or a shard's sha256 is not its card's.
    """
    folder = HERE / name if isinstance(name, str) and name in shipped() else Path(name)
    card_path = folder / "card.json"
    if not card_path.is_file():
        raise WeightsError(f"weights={str(name)!r} is neither a shipped preset ({', '.join(shipped()) or 'none'}) "
                           "nor a folder with a card.json")
    try:
        card = json.loads(card_path.read_text())
        parts = {part: dict(shards) for part, shards in card["shards"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{card_path.name} of weights={str(name)!r} is damaged: {error!r}") from error
    tensors = {part: _read(folder, shards) for part, shards in parts.items()}
    return Weights(tensors["autoencoder"], tensors["flow"], card)


def save_weights(folder: str | Path, autoencoder: dict, flow: dict, card: dict) -> Path:
    """Write shards in fp16 and their card; the card comes last, so a folder without one is not finished."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    shards = {"autoencoder": _write(folder, "autoencoder", autoencoder), "flow": _write(folder, "flow", flow)}
    with whole(folder / "card.json") as beside:
        beside.write_text(json.dumps({**card, "shards": shards}, indent=2))
    return folder


def _read(folder: Path, shards: dict[str, str]) -> dict[str, torch.Tensor]:
    tensors = {}
    for name, digest in shards.items():
        path = folder / name
        if not path.is_file():
            raise WeightsError(f"shard {name} of {folder.name} is missing")
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != digest:
            raise WeightsError(f"shard {name} of {folder.name} does not have the sha256 of its card: it is damaged or "
                               "was changed; get it again")
        try:
            tensors.update({key: value.float() for key, value in load(data).items()})
        except SafetensorError as error:
            raise WeightsError(f"shard {name} of {folder.name} is not a safetensors file: {error}") from error
    return tensors


def _write(folder: Path, part: str, tensors: dict[str, torch.Tensor]) -> dict[str, str]:
    groups, size = [{}], 0
    for key, value in tensors.items():
        value = value.detach().cpu().half().contiguous()
        if groups[-1] and size + value.nbytes > SHARD_BYTES - 2**16:
            groups, size = [*groups, {}], 0
        groups[-1][key] = value
        size += value.nbytes
    digests = {}
    for k, group in enumerate(groups):
        data = save(group)
        name = f"{part}-{k + 1}-of-{len(groups)}.safetensors"
        with whole(folder / name) as beside:
            beside.write_bytes(data)
        digests[name] = hashlib.sha256(data).hexdigest()
    return digests
