"""One thread a test process, and shapes checked at every call, before anything of sorakit is imported."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jaxtyping
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
torch.set_num_threads(1)
KEYS = tempfile.TemporaryDirectory(prefix="sorakit-keys-")        # films are signed with keys of their own here
os.environ["SORAKIT_HOME"] = KEYS.name
CHECKED = ("types", "videofile", "prompt", "latent", "diffusion", "transformer", "synthesis", "safety", "pipeline",
           "views")
jaxtyping.install_import_hook([f"sorakit.{name}" for name in CHECKED], "typecheck.check")


@pytest.fixture
def heeds_ctrl_c():
    """For Popen's preexec_fn: what a shell starts in the background ignores SIGINT, and so does what that starts."""
    return lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def interrupted(heeds_ctrl_c):
    """Run the command line in a folder until it says a word of progress, then press Ctrl-C: exit code, stdout, stderr.
    `meanwhile` is called just before."""
    def run(arguments, folder, word, meanwhile=lambda: None):
        home = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        child = subprocess.Popen([sys.executable, "-m", "sorakit.cli", *arguments], cwd=folder, preexec_fn=heeds_ctrl_c,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                 env={**os.environ, "FORCE_COLOR": "1", "COLUMNS": "100", "PYTHONPATH": home})
        said, deadline = b"", time.monotonic() + 90
        while word not in said:
            said += os.read(child.stderr.fileno(), 4096)
            assert child.poll() is None and time.monotonic() < deadline, said
        meanwhile()
        child.send_signal(signal.SIGINT)
        stdout, stderr = child.communicate(timeout=20)
        return child.returncode, stdout, stderr
    return run


@pytest.fixture
def unchecked():
    """For calls with what does not fit: users have no checks of types, so the error must come from sorakit itself."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory):
    """A folder of weights as `sorakit train` writes them, of a model that is small and untrained."""
    from sorakit.latent.autoencoder import Autoencoder
    from sorakit.latent.text import CaptionTransformer
    from sorakit.prompt.words import Words
    from sorakit.transformer.model import Transformer
    from sorakit.weights import save_weights

    torch.manual_seed(0)
    card = {"preset": "tiny", "autoencoder": {"channels": 8, "width": 8}, "autoencoder_training": {"steps": 0},
            "flow_training": {"steps": 0},
            "text": {"word_width": Words.load().vectors.shape[1], "width": 64, "heads": 2},
            "transformer": {"channels": 8, "width": 64, "depth": 2, "heads": 2}}
    autoencoder = Autoencoder(**card["autoencoder"])
    text, transformer = CaptionTransformer(**card["text"]), Transformer(**card["transformer"])
    for weight in transformer.parameters():                   # zeros, where training starts, would not read the prompt
        torch.nn.init.normal_(weight, std=0.1)
    flow = {f"text.{name}": value for name, value in text.state_dict().items()}
    flow |= {f"transformer.{name}": value for name, value in transformer.state_dict().items()}
    return save_weights(tmp_path_factory.mktemp("weights") / "tiny", autoencoder.state_dict(), flow, card)


@pytest.fixture(scope="session")
def few_step_weights(tiny_weights, tmp_path_factory):
    """The same with a student beside the flow model, which has learned nothing, and not the same nothing."""
    from sorakit.transformer.model import Transformer
    from sorakit.weights import load_weights, save_weights

    weights = load_weights(tiny_weights)
    student = Transformer(**weights.card["transformer"], two_times=True)
    torch.manual_seed(1)
    for weight in student.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    flow = weights.flow | {f"few_step.{name}": value for name, value in student.state_dict().items()}
    card = weights.card | {"few_step": {"guidance": 4.0, "steps": 4}}
    return save_weights(tmp_path_factory.mktemp("weights") / "few_step", weights.autoencoder, flow, card)
