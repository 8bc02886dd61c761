"""Trains the prompt classifier of the safety stage and chooses its thresholds; a minute on a CPU.

`python -m sorakit.training.safety` reads tests/data/safety_prompts.jsonl. Only its half "choose" is used here: the
other half is for `benchmarks/safety.py`, which publishes precision and recall.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import nn

from sorakit.prompt.words import Words
from sorakit.safety.classifier import FOLDER, WIDTH, vectors_of
from sorakit.safety.rules import HIDDEN, Rules
from sorakit.safety.text import readings
from sorakit.world.captions import caption
from sorakit.world.scene import sample

PROMPTS = Path(__file__).parents[2] / "tests" / "data" / "safety_prompts.jsonl"
FILTERS, FOLDS, STEPS, RATE = 48, 3, 1200, 1e-2
HARMLESS = "harmless"
SUREST = 0.95                                   # least threshold: ten categories share one budget of false alarms


class Network(nn.Module):
    """Filters over three words, the strongest answer of each, a line for each category (Kim 2014)."""

    def __init__(self, dimensions: int, categories: int):
        super().__init__()
        self.filters = nn.Linear(WIDTH * dimensions, FILTERS)
        self.output = nn.Linear(FILTERS, categories)

    def forward(self, vectors, mask):
        padded = nn.functional.pad(vectors, (0, 0, WIDTH // 2, WIDTH // 2))                      # (b, l + 2, 128)
        three = torch.cat([padded[:, i:i + vectors.shape[1]] for i in range(WIDTH)], -1)         # (b, l, 384)
        answers = torch.relu(self.filters(three)) * mask[..., None]                              # (b, l, 48)
        return self.output(nn.functional.dropout(answers.amax(1), 0.3, self.training))           # (b, categories)


def main():
    words, rules = Words.load(), Rules.read()
    categories = list(rules.categories) + ["real people", "protected characters", "living artists"]
    rows = [json.loads(line) for line in PROMPTS.read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if row["half"] == "choose"]
    fold = np.arange(len(rows)) % FOLDS
    captions = [caption(sample(rng), rng) for rng in map(np.random.default_rng, range(900))]
    extra = [(rule.replace("*", ""), category) for category, listed in rules.categories.items() for rule in listed
             if "&" not in rule] + [(text, HARMLESS) for text in captions[:700]]
    extra += [(rule.replace("*", ""), HARMLESS) for rule in rules.harmless]
    examples = [(row["prompt"], row["category"]) for row in rows]

    unseen = np.zeros((len(rows), len(categories)))
    others = []
    for k in range(FOLDS):
        network = fit(words, rules, [e for e, f in zip(examples, fold) if f != k] + extra, categories)
        unseen[fold == k] = scores(network, words, rules, [e[0] for e, f in zip(examples, fold) if f == k])
        others.append(scores(network, words, rules, captions[700:]))
    harmless = np.array([row["category"] == HARMLESS for row in rows])
    quiet = np.concatenate([unseen[harmless], *others])
    thresholds = {category: round(float(max(SUREST, np.quantile(unseen[harmless][:, k], 0.996) + 0.02,
                                            np.quantile(quiet[:, k], 0.999))), 3)
                  for k, category in enumerate(categories)}
    for k, category in enumerate(categories):
        mine = np.array([row["category"] == category for row in rows])
        print(f"{category:26s} threshold {thresholds[category]:.3f}, recall alone and unseen "
              f"{(unseen[mine, k] >= thresholds[category]).mean():.2f}")

    network = fit(words, rules, examples + extra, categories)
    save(network, thresholds, len(examples), len(extra))


def fit(words, rules, examples, categories) -> Network:
    torch.manual_seed(0)
    vectors, mask = batch(words, rules, [text for text, _ in examples])
    targets = torch.tensor([[float(category == name) for name in categories] for _, category in examples])
    network = Network(vectors.shape[-1], len(categories))
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.02)
    network.train()
    for step in range(STEPS):
        chosen = torch.randint(len(examples), (64,))
        length = int(mask[chosen].sum(1).max())
        seen, there = vectors[chosen, :length], mask[chosen, :length]
        kept = (there * (torch.rand(there.shape) > 0.1))[..., None]                      # some words go missing
        noisy = (seen + 0.03 * torch.randn(seen.shape)) * kept
        loss = nn.functional.binary_cross_entropy_with_logits(network(noisy, there), targets[chosen],
                                                              pos_weight=torch.tensor(3.0))
        for group in optimiser.param_groups:
            group["lr"] = RATE * (1 - step / STEPS)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return network.eval()


def batch(words, rules, texts):
    found = [torch.from_numpy(vectors_of(words, hidden(rules, text))) for text in texts]
    mask = nn.utils.rnn.pad_sequence([torch.ones(len(v)) for v in found], batch_first=True)
    return nn.utils.rnn.pad_sequence(found, batch_first=True), mask


def hidden(rules: Rules, text: str) -> str:
    """The plain reading without what is harmless in it, as the safety stage gives it to the network."""
    return rules.hide(readings(text)[0].text).replace(HIDDEN, " ")


@torch.no_grad()
def scores(network, words, rules, texts) -> np.ndarray:
    return torch.sigmoid(network(*batch(words, rules, texts))).numpy()


def save(network: Network, thresholds: dict[str, float], labelled: int, others: int) -> None:
    tensors = {"filters": network.filters.weight.T.reshape(WIDTH, -1, FILTERS), "filter_bias": network.filters.bias,
               "output": network.output.weight.T, "output_bias": network.output.bias}
    save_file({name: np.ascontiguousarray(tensor.detach().numpy(), np.float32) for name, tensor in tensors.items()},
              FOLDER / "classifier.safetensors")
    card = {"recipe": "sorakit/training/safety.py", "labelled prompts": labelled, "rules and captions": others,
            "thresholds": thresholds}
    (FOLDER / "classifier.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
