"""Checks of the exercises on guidance and fast sampling."""

import torch
from torch import Tensor

from mdm_lib.checks.tutor import check, expect, expect_close, refuse


def _draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@check
def guided_prediction(answer) -> str:
    """``answer(cond, null, scale, t, interval)`` → the guided prediction where low ≤ t ≤ high, ``cond`` elsewhere."""
    cond, null = _draw(5, 3, 4), _draw(5, 3, 4, seed=1)
    everywhere, t = (0, 49), torch.tensor([5, 10, 20, 30, 40])
    for scale in (2.5, 0.0, 1.0):
        got, wanted = answer(cond.clone(), null.clone(), scale, t, everywhere), null + scale * (cond - null)
        if scale == 2.5:
            refuse(got, cond + scale * (cond - null), "this starts at cond, so scale 1 would not give the plain model")
            refuse(got, cond + scale * (null - cond), "this moves away from the action: the difference is cond - null")
            refuse(got, null + scale * (null - cond), "this moves away from the action: the difference is cond - null")
            refuse(got, scale * cond - null, "the weights of cond and null must add up to 1: scale and 1 - scale")
            refuse(got, null + scale * cond, "scale multiplies the difference; here it multiplies cond alone")
        expect_close(got, wanted, f"with scale {scale:g} at all timesteps it should be null + scale · (cond - null)")
    inside = torch.tensor([False, True, True, True, False])[:, None, None]
    guided = null + 3 * (cond - null)
    got = answer(cond.clone(), null.clone(), 3.0, t, (10, 30))
    refuse(got, guided, "the interval is not used: outside it there is no guidance")
    refuse(got, torch.where(inside, guided, null), "outside the interval you give null; the action still counts: cond")
    refuse(got, torch.where(inside, cond, guided), "inside and outside are exchanged")
    middle = torch.tensor([False, False, True, False, False])[:, None, None]
    refuse(got, torch.where(middle, guided, cond), "both ends belong to the interval: low ≤ t ≤ high")
    expect_close(got, torch.where(inside, guided, cond), "each motion should be guided by its own t, only inside")
    return "guided inside the interval, each motion by its own timestep, and not outside"


@check
def x0_from_velocity(answer) -> str:
    """``answer(x_t, v, t)`` → x0, for x_t = (1 - t) x0 + t ε and v = ε - x0; ``t [N]`` from 0 to 1."""
    x0, eps = _draw(3, 4, 5), _draw(3, 4, 5, seed=1)
    for times in ([0.3, 0.8, 0.6], [0.0, 1.0, 0.5]):
        t = torch.tensor(times)
        share, v = t[:, None, None], eps - x0
        x_t = (1 - share) * x0 + share * eps
        got = answer(x_t.clone(), v.clone(), t.clone())
        if times[0] > 0:
            refuse(got, x_t + share * v, "wrong sign: v points from motion to noise, and you go back")
            refuse(got, eps, "this is ε; from x_t it is a step of 1 - t to the noise, and one of t to the motion")
            refuse(got, x_t - (1 - share) * v, "this goes back by 1 - t; from x_t to the motion it is a step of t")
            refuse(got, x_t - v, "a whole v is too far, unless t is 1: from x_t to the motion it is a step of t")
        expect_close(got, x0, f"at t = {', '.join(map(str, times))} the result should be the clean motion")
    return "right at any t, with one t per motion, including t = 0 and t = 1"


@check
def heun_step(answer) -> str:
    """``answer(velocity, x, t, t_next)`` → x at t_next by Heun's method; ``velocity(x, t)`` may be called twice."""
    x, asked = _draw(4, 3), []

    def velocity(x: Tensor, t: float) -> Tensor:
        asked.append((x.clone(), float(t)))
        return (1 + t) * x + t**2

    def field(x: Tensor, t: float) -> Tensor:
        return (1 + t) * x + t**2

    for t, t_next in ((0.9, 0.7), (0.5, 0.6)):
        asked.clear()
        got, h = answer(velocity, x.clone(), t, t_next), t_next - t
        first = field(x, t)
        there = x + h * first
        second = field(there, t_next)
        halfway = field(x + h / 2 * first, t + h / 2)
        refuse(got, there, "this is Euler's step; Heun evaluates again at its end and averages both velocities")
        refuse(got, x - h * (first + second) / 2, "wrong sign: the step is t_next - t, negative on the way down")
        refuse(got, x + h * (first + second), "the two velocities are added; take their mean")
        refuse(got, x + h * halfway, "this is the midpoint method: as good, but Heun evaluates both ends of the step")
        refuse(got, x + h * second, "only the second velocity is used; take the mean of both")
        refuse(got, there + h * (first + second) / 2, "the final step should start at x again, not at Euler's end")
        refuse(got, x + h * (first + field(there, t)) / 2, "the second velocity should be at time t_next")
        refuse(got, x + h * (first + field(x, t_next)) / 2, "the second velocity should be at Euler's end, not at x")
        expect_close(got, x + h * (first + second) / 2, f"from t = {t} to {t_next} it should be x + h · (v₁ + v₂) / 2")
        expect(len(asked) == 2, f"velocity is a network and takes time: two calls are enough, not {len(asked)}")
    return "two evaluations and their mean, in either direction"
