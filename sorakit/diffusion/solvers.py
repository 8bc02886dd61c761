"""One step along the flow, from time t to t_next. A solver is a function that sees where it stands and says what x is
next; any function like these can be a `Sampler`'s method.

The path is x_t = (1 - t) x0 + t noise, so a model that knows the velocity knows the film and the noise at its ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, eq=False)
class At:
    """Where a solver stands: everything that it may use."""

    x: Float[Tensor, "b c t h w"]
    t: float
    t_next: float
    velocity: Float[Tensor, "b c t h w"]         # the model's at (x, t), after guidance
    x0: Float[Tensor, "b c t h w"]               # the film that it points to, x - t velocity
    past: list                                   # for a solver to remember with; empty once a learner has changed x
    field: Callable[[Tensor, float], Tensor]     # the velocity at another (x, t): one more evaluation
    fresh: Callable[[], Tensor]                  # new noise of x's shape


Solver = Callable[[At], Tensor]


def euler(at: At) -> Float[Tensor, "b c t h w"]:
    """Straight on (first order, one evaluation)."""
    return at.x + (at.t_next - at.t) * at.velocity


def heun(at: At) -> Float[Tensor, "b c t h w"]:
    """The mean of the velocities here and where Euler would land (second order, two evaluations, one for the last step:
    Karras et al. 2022, arXiv:2206.00364)."""
    landing = euler(at)
    if at.t_next == 0:
        return landing
    return at.x + (at.t_next - at.t) * (at.velocity + at.field(landing, at.t_next)) / 2


def dpmpp_2m(at: At) -> Float[Tensor, "b c t h w"]:
    """DPM-Solver++(2M): the film that the last two steps point to, drawn half a step ahead (second order, one
    evaluation: Lu et al. 2022, arXiv:2211.01095)."""
    x0 = ahead(at)
    at.past[:] = [(at.t, at.x, at.x0)]
    return towards(at.x, x0, at.t, at.t_next)


def unipc(at: At) -> Float[Tensor, "b c t h w"]:
    """UniPC: DPM-Solver++(2M) to go on, but first the last step is put right with what the model says where it led
    (third order inside, one evaluation: Zhao et al. 2023, arXiv:2302.04867, B(h) = e^h - 1)."""
    x, x0 = corrected(at), ahead(at)
    at.past[:] = [*at.past[-1:], (at.t, x, at.x0)]
    return towards(x, x0, at.t, at.t_next)


def ddim(at: At, eta: float = 0.0) -> Float[Tensor, "b c t h w"]:
    """DDIM on the equivalent path (Song et al. 2020, arXiv:2010.02502): the film and the noise, mixed anew for t_next.

    With eta = 0 this is Euler in other words: both walk the same straight line. eta is the share of the noise that is
    drawn afresh: 1 is ancestral sampling (DDPM). Scaling x_t by 1 / sqrt((1 - t)^2 + t^2) gives their path.
    Raises ValueError for an eta outside of 0 to 1.
    """
    if not 0 <= eta <= 1:
        raise ValueError(f"eta={eta!r} is not a share of the noise; it takes 0 (DDIM) to 1 (ancestral)")
    noise = at.x0 + at.velocity
    if eta == 0 or at.t_next == 0:
        return (1 - at.t_next) * at.x0 + at.t_next * noise
    quieter = at.t_next * (1 - at.t) / (at.t * (1 - at.t_next))              # noise to signal, after over before
    new = eta * at.t_next * math.sqrt(1 - quieter**2)
    return (1 - at.t_next) * at.x0 + math.sqrt(at.t_next**2 - new**2) * noise + new * at.fresh()


SOLVERS: dict[str, Solver] = {
    "euler": euler, "heun": heun, "dpmpp_2m": dpmpp_2m, "unipc": unipc, "ddim": ddim, "ancestral": partial(ddim, eta=1),
    "few_step": euler,                           # of a model that says the mean velocity from t to t_next
}


# --- what the multistep solvers share ---------------------------------------------------------------


def towards(x: Tensor, x0: Tensor, t: float, t_next: float) -> Tensor:
    """Along the straight line from x at time t to the film x0 at time 0, as far as t_next."""
    return (t_next / t) * x + (1 - t_next / t) * x0


def log_snr(t: float) -> float:
    """Logarithm of signal to noise, in which the multistep solvers count their steps; -inf at 1 and inf at 0."""
    return math.log((1 - t) / t) if 0 < t < 1 else math.copysign(math.inf, 0.5 - t)


def ahead(at: At) -> Tensor:
    """The film that the model points to, half a step further along its change since the last step; as it is in a first
    step, and in the one to t = 0, which is endless in log_snr."""
    if not at.past or at.t_next == 0:
        return at.x0
    t_last, _, x0_last = at.past[-1]
    return at.x0 + stretch(t_last, at.t, at.t_next) / 2 * (at.x0 - x0_last)


def stretch(t_last: float, t: float, t_next: float) -> float:
    """How long this step is, in the last one's length (0 after a start at t = 1, which is endlessly far)."""
    return (log_snr(t_next) - log_snr(t)) / (log_snr(t) - log_snr(t_last))


def corrected(at: At) -> Tensor:
    """x, had the last step known what the model says at its end: UniC of the order that the last step had."""
    if not at.past:
        return at.x
    t_last, x_last, x0_last = at.past[-1]
    rise = at.x0 - x0_last
    if len(at.past) == 1:
        return towards(x_last, x0_last + rise / 2, t_last, at.t)
    t_before, _, x0_before = at.past[-2]
    h, ratio = log_snr(at.t) - log_snr(t_last), stretch(t_before, t_last, at.t)
    b1 = 1 / -math.expm1(-h) - 1 / h
    b2 = (1 - 2 / h) / -math.expm1(-h) + 2 / h**2
    bend = (b1 - b2) * ratio / (1 + ratio)
    return towards(x_last, x0_last + bend * ratio * (x0_last - x0_before) + (b1 - bend) * rise, t_last, at.t)
