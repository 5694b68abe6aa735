"""The checks on guidance and fast sampling: right answers pass, typical wrong ones are told what is wrong."""

import pytest
import torch

from mdm_lib.checks import guidance as checks
from mdm_lib.checks.tutor import WrongAnswer


def guided(mix=lambda c, n, w: n + w * (c - n), inside=lambda t, low, high: (low <= t) & (t <= high), other=None):
    """The guided guess, with its parts replaceable."""

    def answer(cond, null, scale, t, interval):
        acts = inside(t, *interval)[:, None, None]
        return torch.where(acts, mix(cond, null, scale), cond if other is None else null)

    return answer


def by_scales(cond, null, scale, t, interval):
    scales = torch.where((t < interval[0]) | (t > interval[1]), 1.0, scale).view(-1, 1, 1)
    return scales * cond + (1 - scales) * null


def by_motion(cond, null, scale, t, interval):
    low, high = interval
    rows = [n + scale * (c - n) if low <= int(s) <= high else c for c, n, s in zip(cond, null, t, strict=True)]
    return torch.stack(rows)


@pytest.mark.parametrize("answer", [guided(), by_scales, by_motion])
def test_guided_prediction_right(answer, capsys):
    checks.guided_prediction(answer)
    assert capsys.readouterr().out.startswith("✔ guided_prediction")


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (guided(mix=lambda c, n, w: c + w * (c - n)), "this starts at cond"),
        (guided(mix=lambda c, n, w: n + w * (n - c)), "this moves away from the action"),
        (guided(mix=lambda c, n, w: c + w * (n - c)), "this moves away from the action"),
        (guided(mix=lambda c, n, w: w * c - n), "must add up to 1"),
        (guided(mix=lambda c, n, w: n + w * c), "multiplies cond alone"),
        (guided(mix=lambda c, n, w: c), "with scale 2.5 at all timesteps"),
        (guided(inside=lambda t, low, high: t >= 0), "the interval is not used"),
        (guided(inside=lambda t, low, high: (low < t) & (t < high)), "both ends belong"),
        (guided(other="null"), "outside the interval you give null"),
        (guided(inside=lambda t, low, high: (t < low) | (t > high) | (high > 40)), "exchanged"),
        (guided(inside=lambda t, low, high: (low <= t[0]).expand(5)), "each motion should be guided by its own t"),
        (lambda c, n, w, t, i: c[0], "the shape should be"),
        (lambda c, n, w, t, i: "x", "it gives a str"),
    ],
)
def test_guided_prediction_wrong(answer, complaint):
    with pytest.raises(WrongAnswer, match=complaint):
        checks.guided_prediction(answer)


def share(t):
    return t.view(-1, 1, 1)


@pytest.mark.parametrize(
    "answer",
    [
        lambda x, v, t: x - t[:, None, None] * v,
        lambda x, v, t: (x + (1 - share(t)) * v) - v,
        lambda x, v, t: torch.stack([a - s * b for a, b, s in zip(x, v, t, strict=True)]),
    ],
)
def test_x0_from_velocity_right(answer, capsys):
    checks.x0_from_velocity(answer)
    assert capsys.readouterr().out.startswith("✔ x0_from_velocity")


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (lambda x, v, t: x + share(t) * v, "wrong sign"),
        (lambda x, v, t: x + (1 - share(t)) * v, "this is ε"),
        (lambda x, v, t: x - (1 - share(t)) * v, "this goes back by 1 - t"),
        (lambda x, v, t: x - v, "a whole v is too far"),
        (lambda x, v, t: x, "should be the clean motion"),
        (lambda x, v, t: (x - share(t) * (v + x)) / (1 - share(t)), "should be the clean motion"),
        (lambda x, v, t: x / share(t) * share(t) - share(t) * v, "divided by zero"),
        (lambda x, v, t: x[:1], "the shape should be"),
        (lambda x, v, t: [x], "it gives a list"),
    ],
)
def test_x0_from_velocity_wrong(answer, complaint):
    with pytest.raises(WrongAnswer, match=complaint):
        checks.x0_from_velocity(answer)


def heun(velocity, x, t, t_next):
    first = velocity(x, t)
    second = velocity(x + (t_next - t) * first, t_next)
    return x + (t_next - t) * (first + second) / 2


def heun_from_euler(velocity, x, t, t_next):
    h, first = t_next - t, velocity(x, t)
    there = x + h * first
    return there + h / 2 * (velocity(there, t_next) - first)


def changed(place=lambda x, h, v: x + h * v, when=lambda t, n: n, join=lambda x, h, v, w: x + h * (v + w) / 2):
    """Heun's step with one thing changed."""

    def step(velocity, x, t, t_next):
        h, first = t_next - t, velocity(x, t)
        return join(x, h, first, velocity(place(x, h, first), when(t, t_next)))

    return step


@pytest.mark.parametrize("answer", [heun, heun_from_euler])
def test_heun_step_right(answer, capsys):
    checks.heun_step(answer)
    assert capsys.readouterr().out.startswith("✔ heun_step")


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (lambda velocity, x, t, n: x + (n - t) * velocity(x, t), "this is Euler's step"),
        (changed(join=lambda x, h, v, w: x - h * (v + w) / 2), "wrong sign"),
        (changed(join=lambda x, h, v, w: x + h * (v + w)), "take their mean"),
        (changed(join=lambda x, h, v, w: x + h * w), "only the second velocity"),
        (changed(join=lambda x, h, v, w: x + h * v + h * (v + w) / 2), "should start at x again"),
        (
            changed(lambda x, h, v: x + h / 2 * v, lambda t, n: (t + n) / 2, lambda x, h, v, w: x + h * w),
            "midpoint method",
        ),
        (changed(when=lambda t, n: t), "at time t_next"),
        (changed(place=lambda x, h, v: x), "at Euler's end"),
        (changed(place=lambda x, h, v: x - h * v), "it should be x"),
        (lambda velocity, x, t, n: heun(velocity, x, t, n) + 0 * velocity(x, t), "two calls are enough, not 3"),
        (lambda velocity, x, t, n: x[0], "the shape should be"),
    ],
)
def test_heun_step_wrong(answer, complaint):
    with pytest.raises(WrongAnswer, match=complaint):
        checks.heun_step(answer)


@pytest.mark.parametrize("check", [checks.guided_prediction, checks.x0_from_velocity, checks.heun_step])
def test_stubs_are_still_to_do(check, capsys):
    check(lambda *arguments: ...)
    assert "still to do" in capsys.readouterr().out
