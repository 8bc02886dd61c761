"""A run: everything that a film went through, kept. It can be looked into, edited, replayed from anywhere, and saved.

`run = pipe.trace(prompt)` keeps each stage's input, output, time and memory; `run.replay(from_="diffusion", at=12,
edit=fn)` works out again only what follows; `run.diff(other)` says where two runs part.
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import json
import reprlib
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sorakit import types
from sorakit.diffusion.sampler import schedule
from sorakit.types import Brief, Conditioning, DenoisingStep, Latents, Verdict, Video
from sorakit.whole import whole

STAGES = ("prompt", "screen", "text", "known", "diffusion", "decode", "synthesis", "release")
VERSION = 1
COUNTS_IN = {"prompt": "prompt", "negative": "prompt", "image": "prompt", "seed": "diffusion", "steps": "diffusion",
             "guidance": "diffusion", "seconds": "diffusion", "aspect": "diffusion",
             "height": "synthesis", "width": "synthesis"}                                 # what a change there alters


@dataclass(frozen=True, eq=False)
class Record:
    """One stage of a run."""

    stage: str
    inputs: dict[str, Any]         # by the stage's own parameter names
    output: Any
    seconds: float                 # 0 where the output was taken over from an earlier run
    memory: int                    # bytes by which the process grew at its highest; on CUDA, most that was allocated

    def __repr__(self):
        return f"Record({self.stage}: {self.seconds:.3f} s, {self.memory / 2**20:.0f} MiB more memory)"


@dataclass(eq=False)
class Run:
    """A film and how it came about. `records` has a `Record` for each of STAGES, `steps` each denoising step."""

    request: dict[str, Any]                      # what the pipeline was asked
    records: dict[str, Record]
    steps: list[DenoisingStep]
    keep: tuple[str, ...] = ()
    model: str = ""
    pipeline: Any = field(default=None, repr=False)
    tool: bool = False                   # of a creative tool's window, not of the plain pipeline

    @property
    def brief(self) -> Brief:
        """What was asked for, as stage 1 read it."""
        return self.records["prompt"].output

    prompt = brief

    @property
    def verdict(self) -> Verdict:
        return self.records["screen"].output

    @property
    def conditioning(self) -> Conditioning:
        return self.records["text"].output

    @property
    def known(self) -> tuple[Tensor, Tensor] | tuple[None, None]:
        """Latents that were given, and the mask that says where; (None, None) if none were."""
        return self.records["known"].output

    @property
    def latents(self) -> Latents:
        return self.records["diffusion"].output

    @property
    def frames(self) -> Tensor:
        """What the decoder gave, (1, 3, t, h, w) about in [-1, 1]."""
        return self.records["decode"].output

    @property
    def video(self) -> Video:
        return self.records["release"].output

    def __repr__(self):
        seconds = sum(record.seconds for record in self.records.values())
        return f"Run({self.request['prompt']!r}: {len(self.steps)} steps, {seconds:.1f} s, {self.video!r})"

    @classmethod
    def record(cls, pipeline, keep: str | Sequence[str], request: dict[str, Any], recorder: Recorder | None = None
               ) -> Run:
        """Make the film and keep what is on the way; see `Pipeline.trace`."""
        recorder = recorder or Recorder(pipeline, keep)
        request = {name: value.item() if isinstance(value, np.generic) else value for name, value in request.items()}
        with recorder.watching():
            video = pipeline.stages(recorder, **request)
        recorder.records["release"] = dataclasses.replace(recorder.records["release"], output=video)
        return cls(request, recorder.records, recorder.steps, recorder.keep, pipeline.model, pipeline,
                   hasattr(pipeline, "given"))

    def replay(self, from_: str = "diffusion", *, at: int | None = None, edit: Callable | None = None,
               patch: Mapping[str, Run] | None = None, keep: str | Sequence[str] | None = None, **changes) -> Run:
        """Take over everything up to stage from_, change its output by edit, and work out again only what follows.

        Args:
            from_: a stage of STAGES. What it gave goes through edit(value) -> value.
            at: with from_="diffusion", the step to go on from: edit is given x_t of that step, (1, c, t, h, w). What
                follows has the run's own steps; of a change that takes the flow model where the run had few-step
                weights, or the other way round, it has those of the new one from there on.
            patch: names of the transformer's intermediates and the run to take them from, at each step the same step's;
                that run must have kept them (`keep=`).
            changes: other values of what a call takes (guidance=7.0, height=720); they count in the stages that follow.

        Raises ValueError for a run without its pipeline, an unknown stage, a step that is not there, a change, patch or
        keep that counts in what is taken over, a shape that its latents do not have, or a patch from a run that did not
        keep it.
        """
        if self.pipeline is None:
            raise ValueError("this run has no pipeline to replay with; pass one to Run.load(path, pipeline)")
        if from_ not in STAGES:
            raise ValueError(f"from_={from_!r} is not one of {', '.join(STAGES)}")
        if at is not None and (from_ != "diffusion" or not 0 <= at < len(self.steps)):
            raise ValueError(f"at={at!r} with from_={from_!r} does not fit; it takes a step from 0 to "
                             f"{len(self.steps) - 1}, and from_='diffusion'")
        asks = [name for name in inspect.signature(self.pipeline.stages).parameters if name != "do"]
        if unknown := [name for name in changes if name not in asks]:
            raise ValueError(f"{unknown[0]}= cannot be changed in this run; it takes {', '.join(asks)}")
        recorder = Recorder(self.pipeline, self.keep if keep is None else keep)
        past = STAGES[:STAGES.index(from_) + (at is None)]
        for name, stage in COUNTS_IN.items():
            decided = name == "seed" and self.verdict.brief.said              # what the prompt left open
            taken = stage in past or name == "seed" and at is not None or decided
            if taken and name in changes and not _same(changes[name], self.request.get(name)):
                stage = "prompt" if decided else stage
                raise ValueError(f"{name}={reprlib.repr(changes[name])} counts in stage {stage!r}, which is taken over "
                                 f"as it was; {'' if decided else 'begin earlier, or '}make another run")
        if (patch or keep is not None) and "diffusion" in past:
            raise ValueError(f"{'patch' if patch else 'keep'}= counts in stage 'diffusion', which is taken over as it "
                             "was; begin with from_='text' or at=0")
        recorder.taken = {name: self.records[name] for name in past}
        if at is None:
            recorder.steps = list(self.steps) if "diffusion" in past else []
            if edit:
                record = self.records[from_]
                recorder.taken[from_] = dataclasses.replace(record, output=edit(record.output))
        else:
            x = self.steps[at].x
            recorder.resume = at, self.steps, edit(x) if edit else x
        recorder.patch = _checked_patch(patch or {}, self.pipeline.transformer)
        again = Run.record(self.pipeline, recorder.keep, {**self.request, **changes}, recorder)
        if at is not None and "steps" in changes:
            again.request["steps"] = len(again.steps)
        return again

    def diff(self, other: Run) -> Difference:
        """Where this run and another part, and by how much. Raises ValueError for films of different shapes."""
        return Difference.between(self, other)

    def save(self, path: str | Path) -> Path:
        """Everything but the pipeline into one safetensors file; there is a whole file or none."""
        path = Path(path).expanduser()
        path.parent.mkdir(parents=True, exist_ok=True)
        tensors: dict[str, Tensor] = {}
        about = {"version": VERSION, "model": self.model, "tool": self.tool, "keep": self.keep,
                 "request": {name: value for name, value in self.request.items() if name != "image"},
                 "records": {name: {"seconds": record.seconds, "memory": record.memory,
                                    "output": _packed(record.output, f"records.{name}", tensors)}
                             for name, record in self.records.items()},
                 "steps": [_packed(step, f"steps.{k}", tensors) for k, step in enumerate(self.steps)]}
        with whole(path) as beside:
            save_file({name: value.contiguous().cpu() for name, value in tensors.items()}, beside,
                      {"sorakit.run": json.dumps(about)})
        return path

    @classmethod
    def load(cls, path: str | Path, pipeline=None) -> Run:
        """A saved run; with a pipeline it can be replayed. Raises ValueError for a file that is damaged, not a run, or
        of a version that this sorakit does not read; OSError for one that is not there."""
        path = Path(path).expanduser()
        if not path.is_file():
            raise FileNotFoundError(f"path={str(path)!r} is not a file; a run is one that run.save(path) wrote")
        try:
            with safe_open(path, "pt") as file:
                about = json.loads((file.metadata() or {})["sorakit.run"])
                if about["version"] != VERSION:
                    raise ValueError(f"path={str(path)!r} is a run of version {about['version']}; this sorakit reads "
                                     f"version {VERSION}")
                device = "cpu" if pipeline is None else pipeline.device
                get = lambda name: file.get_tensor(name).to("cpu" if ".attention." in name else device)
                records = {name: Record(name, {}, _unpacked(kept["output"], get), kept["seconds"], kept["memory"])
                           for name, kept in about["records"].items()}
                steps = [_unpacked(step, get) for step in about["steps"]]
        except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
            raise ValueError(f"path={str(path)!r} is damaged or not a run: {error}") from error
        tool = about.get("tool", False)              # what its window started from is not in the file
        return cls(about["request"], records, steps, tuple(about["keep"]), about["model"],
                   None if tool else pipeline, tool)


class Recorder:
    """What a traced pipeline calls its stages by (see `Pipeline.stages`). `progress` is told of each denoising step."""

    def __init__(self, pipeline, keep: str | Sequence[str], progress: Callable[[str, int, int], None] | None = None):
        self.pipeline, self.keep = pipeline, (keep,) if isinstance(keep, str) else tuple(keep)
        self.progress, self.planned = progress or (lambda *_: None), 0       # planned: steps, when they begin
        self.records: dict[str, Record] = {}
        self.steps: list[DenoisingStep] = []
        self.taken: dict[str, Record] = {}                  # outputs of an earlier run, instead of work
        self.resume: tuple | None = None                    # step to go on from, all that there were, and x there
        self.patch: Mapping[str, Run] = {}
        self._seen: dict[str, Tensor] = {}                  # of the step that is being worked out

    @property
    def timings(self) -> dict[str, float]:
        return {name: record.seconds for name, record in self.records.items()}

    def __call__(self, name: str, stage: Callable, *args, **options):
        inputs = _named(stage, args, options)
        if name in self.taken:
            self.records[name] = Record(name, inputs, self.taken[name].output, 0.0, 0)
            return self.taken[name].output
        if name == "diffusion":
            options["callback"], self.planned = self._step, options["steps"]
            self._check_shape(args[1], args[3])
            self.progress("sample", 0, self.planned)
            if self.resume:
                at, steps, x = self.resume
                options = {"began": args[1], **options, "first": at}
                planned, options["times"] = options.pop("steps"), [*(s.t for s in steps[at:]), steps[-1].t_next]
                if steps[at].folded != (stage.method == "few_step"):
                    options["times"] = [steps[at].t, *(t for t in schedule(planned, stage.shift) if t < steps[at].t)]
                self.steps, args = steps[:at], (args[0], x, *args[2:])
        with _memory(self.pipeline.device) as memory:
            started = time.perf_counter()
            value = stage(*args, **options)
            seconds = time.perf_counter() - started
        self.records[name] = Record(name, inputs, value, seconds, memory[0])
        return value

    @contextlib.contextmanager
    def watching(self):
        """The transformer is watched for what is to be kept, and patched."""
        with contextlib.ExitStack() as stack:
            for network in filter(None, (self.pipeline.transformer, self.pipeline.few_step)):
                if self.patch:
                    stack.enter_context(network.watch(tuple(self.patch), self._patched))
                if self.keep:
                    stack.enter_context(network.watch(self.keep, self._look))
            yield

    def _check_shape(self, noise: Tensor, known: Tensor | None) -> None:
        """Raises ValueError where latents that are taken over are not of the shape that is asked for."""
        held = self.resume[1][self.resume[0]].x if self.resume else known
        if self.taken and held is not None and held.shape[2:] != noise.shape[2:]:
            asked, own = (" x ".join(map(str, x.shape[2:])) for x in (noise, held))
            raise ValueError(f"height=, width=, aspect= or seconds= ask for {asked} latents, and those that are taken "
                             f"over are {own}; leave the shape as it was, begin with from_='text' or earlier, or pass "
                             "height= and width= with from_='decode', which crops the film")

    def _look(self, name: str, value: Tensor) -> None:
        if name in self._seen:                  # a second look in one step: Heun's, or at the source of a remix
            return
        self._seen[name] = value[0].to(torch.float16).cpu() if name.endswith(".attention") else value[0].clone()

    def _patched(self, name: str, value: Tensor) -> Tensor:
        other = self.patch[name].steps[min(len(self.steps), len(self.patch[name].steps) - 1)]
        kept, value = _kept(other, name).to(value), value.clone()
        if kept.shape != value[0].shape:
            raise ValueError(f"patch={name!r} is {tuple(kept.shape)} in its run and {tuple(value[0].shape)} here; it "
                             "takes a run of the same seconds and shape, and where words are looked at of as many")
        value[0] = kept
        return value

    def _step(self, step: DenoisingStep) -> None:
        attention = {name.removesuffix(".attention"): value for name, value in self._seen.items()
                     if name.endswith(".attention")}
        others = {name: value for name, value in self._seen.items() if not name.endswith(".attention")}
        self._seen = {}
        self.steps.append(dataclasses.replace(step, index=len(self.steps), attention=attention, activations=others))
        self.progress("sample", len(self.steps), self.planned)


@dataclass(frozen=True, eq=False)
class Difference:
    """Two runs beside each other."""

    a: Run
    b: Run
    stages: tuple[str, ...]              # whose outputs differ
    x: list[float]                       # root of the mean squared difference of x_t at each step that both have
    psnr: float                          # of the films, in dB; inf for the same film
    largest: int                         # difference of any pixel, 0 to 255
    frames: np.ndarray                   # absolute difference, (t, h, w, 3) uint8

    @classmethod
    def between(cls, a: Run, b: Run) -> Difference:
        if a.video.frames.shape != b.video.frames.shape:
            raise ValueError(f"films of {a.video.frames.shape} and {b.video.frames.shape} cannot be compared; they "
                             "take the same seconds, aspect and height")
        apart = np.abs(a.video.frames.astype(np.int16) - b.video.frames)
        error = float(np.square(apart / 255).mean())
        stages = tuple(name for name in STAGES if not _same(a.records[name].output, b.records[name].output))
        x = [(p.x - q.x.to(p.x.device)).square().mean().sqrt().item() for p, q in zip(a.steps, b.steps)
             if p.x.shape == q.x.shape]
        return cls(a, b, stages, x, -10 * np.log10(error) if error else float("inf"), int(apart.max()),
                   apart.astype(np.uint8))

    def __repr__(self):
        if not self.stages:
            return "Difference(none: the two runs are the same)"
        return f"Difference(from {self.stages[0]} on; films {self.psnr:.1f} dB, at most {self.largest} of 255 apart)"


# --- helpers ----------------------------------------------------------------------------------------


def _named(stage: Callable, args: tuple, options: dict) -> dict[str, Any]:
    """Arguments by the names that the stage has for them."""
    try:
        return dict(inspect.signature(stage).bind(*args, **options).arguments)
    except (TypeError, ValueError):
        return {str(k): value for k, value in enumerate(args)} | options


def _kept(step: DenoisingStep, name: str) -> Tensor:
    return step.attention[name.removesuffix(".attention")] if name.endswith(".attention") else step.activations[name]


def _checked_patch(patch: Mapping[str, Run], transformer) -> Mapping[str, Run]:
    for name, run in patch.items():
        if name not in transformer.names():
            raise ValueError(f"patch={name!r} is no name of this model; transformer.names() lists them")
        try:
            _kept(run.steps[0], name)
        except (KeyError, IndexError):
            raise ValueError(f"patch={name!r} was not kept by the run that it is to come from; trace that with "
                             f"keep={name!r}") from None
    return patch


@contextlib.contextmanager
def _memory(device: torch.device):
    """Yields a list; when it closes, its one entry is how many bytes more were in use at the highest."""
    grown = [0]
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield grown
        grown[0] = torch.cuda.max_memory_allocated(device) - before
        return
    _reset_peak()
    before = _peak()
    yield grown
    grown[0] = max(0, _peak() - before)


def _reset_peak() -> None:
    """Let Linux count this process's highest memory anew; elsewhere only growth beyond the highest so far is seen."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    """The most memory that this process has had, in bytes."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])
    try:
        import resource
    except ImportError:                                              # on Windows, where memory is not measured
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _same(a, b) -> bool:
    """Whether two outputs hold the same values."""
    if isinstance(a, Tensor):
        return isinstance(b, Tensor) and a.shape == b.shape and bool((a == b.to(a.device)).all())
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return type(a) is type(b) and np.array_equal(a, b)
    if dataclasses.is_dataclass(a):
        return type(a) is type(b) and all(_same(getattr(a, f.name), getattr(b, f.name))
                                          for f in dataclasses.fields(a) if f.name != "timings")
    if isinstance(a, (tuple, list)):
        return type(a) is type(b) and len(a) == len(b) and all(map(_same, a, b))
    return a == b


# what a run's file holds: JSON, with each tensor's place in the file where the tensor was
_TYPES = {name: cls for name, cls in vars(types).items() if dataclasses.is_dataclass(cls)}


def _packed(value, name: str, tensors: dict[str, Tensor]):
    """A value as JSON; its arrays go to `tensors` under the name."""
    if isinstance(value, (Tensor, np.ndarray)):
        tensors[name] = value.clone() if isinstance(value, Tensor) else torch.from_numpy(value.copy())
        return {"tensor": name, "numpy": isinstance(value, np.ndarray)}
    if dataclasses.is_dataclass(value):
        return {"type": type(value).__name__,
                "fields": {f.name: _packed(getattr(value, f.name), f"{name}.{f.name}", tensors)
                           for f in dataclasses.fields(value) if f.init}}
    if isinstance(value, Mapping):
        return {"map": {key: _packed(v, f"{name}.{key}", tensors) for key, v in value.items()}}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return {"tuple" if isinstance(value, tuple) else "list":
                [_packed(v, f"{name}.{k}", tensors) for k, v in enumerate(value)]}
    return value


def _unpacked(value, get: Callable[[str], Tensor]):
    """What `_packed` packed."""
    if not isinstance(value, dict):
        return value
    if "tensor" in value:
        tensor = get(value["tensor"])
        return tensor.cpu().numpy() if value["numpy"] else tensor
    if "type" in value:
        return _TYPES[value["type"]](**{name: _unpacked(v, get) for name, v in value["fields"].items()})
    if "map" in value:
        return {key: _unpacked(v, get) for key, v in value["map"].items()}
    kind = tuple if "tuple" in value else list
    return kind(_unpacked(v, get) for v in value[kind.__name__])
