"""Checks of the exercises on the training loop."""

import math

import torch
from torch import Tensor

from mdm_lib.checks.tutor import check, expect, expect_close, refuse
from mdm_lib.scheduler import NoiseScheduler
from mdm_lib.training.objective import masked_mse, training_loss


@check
def motion_loss(answer) -> str:
    """``pred_x0 [B, F, D], x0 [B, F, D], mask [B, F], vel_weight`` → mse + λ vel of each motion, ``[B]``."""
    # errors 1, 3 and 6, the last one in the padding: mse (1 + 9) / 2 = 5, vel (3 - 1)² = 4
    pred, x0 = torch.tensor([[[1.0], [3.0], [6.0]]]), torch.zeros(1, 3, 1)
    mask = torch.tensor([[True, True, False]])
    got = answer(pred, x0, mask, 0.0)
    expect(torch.as_tensor(got).dim() > 0, "there is one number for the whole batch; every motion needs its own, [B]")
    refuse(got, 46 / 3, "the padded frame was counted: multiply the errors by the mask before you add them up")
    refuse(
        got, 10 / 3, "the padding's error is excluded, but its frame is counted: divide by the real frames, not by F"
    )
    refuse(got, 10.0, "the errors are summed; divide by the number of real frames")
    refuse(got, 2.0, "this is the mean of the absolute errors; square them")
    expect_close(got, torch.tensor([5.0]), "errors of 1 and 3 in the two real frames have a mean square of 5")
    got = answer(pred, x0, mask, 10.0)
    across = "the change from the last real frame into the padding is counted; a change is real if *both* frames are"
    for wrong in (5 + 10 * (4 + 9) / 2, 5 + 10 * (4 + 9)):
        refuse(got, wrong, across)
    refuse(got, 5 + 10 * 4 / 2, "vel is divided by the wrong number: there is one real change, not F - 1")
    refuse(got, 5 + 4.0, "did you forget λ? It multiplies vel")
    refuse(got, 10 * 5 + 4.0, "λ multiplies vel, not mse")
    expect_close(got, torch.tensor([45.0]), "a change wrong by 2 gives vel = 4; with λ = 10 the loss is 5 + 40")
    pred, x0 = _draws(4, 6, 5)
    mask = torch.arange(6) < torch.tensor([[6], [4], [2], [1]])
    got, wanted = answer(pred, x0, mask, 3.0), training_loss(pred, x0, mask, 3.0)[0]
    refuse(got, 5 * wanted, "the D features of a frame are summed; take their mean")
    expect(
        not isinstance(got, Tensor) or got.isfinite().all(),
        "a motion with one real frame has no change, and 0 / 0 is NaN; divide by at least 1: clamp(min=1)",
    )
    pooled = ((pred - x0).square().mean(-1) * mask).sum() / mask.sum()
    refuse(got - 3.0 * training_loss(pred, x0, mask, 3.0)[2], pooled.expand(4), "all motions share one mse")
    expect_close(got, wanted, "wrong for a batch of four motions of different lengths")
    expect_close(answer(pred, x0, mask, 0.0), masked_mse(pred, x0, mask), "wrong without the velocity loss")
    return "only real frames and real changes count, separately for each motion"


@check
def moving_average(answer) -> str:
    """``values [N], decay`` → their exponential moving average with its warm-up, ``[N]``."""
    values = torch.tensor([0.0, 11.0, 11.0, 11.0])  # decays 2/11, 3/12, 4/13: the average goes to 9, 10.5, …
    got = answer(values, 0.9)
    expect(isinstance(got, Tensor), f"it should give a tensor, it gives a {type(got).__name__}: torch.stack the list")
    expect(values.tolist() == [0, 11, 11, 11], _CHANGED)
    expect(got.shape != (3,), "the average *before* any step is included: N values, N averages")
    refuse(got, _average(values, 0.9, swapped=True), _SWAPPED)
    refuse(
        got, _average(values, 0.9, warm=False), "the warm-up is missing: after step n the decay is at most (1+n)/(10+n)"
    )
    refuse(got, _average(values, 0.9, warm=False, swapped=True), _SWAPPED)
    refuse(got, _average(values, 0.9, first=0), "n counts from 1: after the first step the decay is at most 2 / 11")
    expect_close(got, _average(values, 0.9), "from 0, after a step to 11, the average is 2/11 · 0 + 9/11 · 11 = 9")
    values = torch.tensor([5.0, 4.0, 7.0, 7.0])
    got = answer(values, 0.9)
    refuse(got, _average(torch.cat([torch.zeros(1), values[1:]]), 0.9), "it starts at 0; it should start at values[0]")
    expect_close(got[:1], values[:1], "before the first step the average is the value itself")
    values = _draws(400)[0].cumsum(0)
    wrong = "wrong in a long run: the decay is the *smaller* of the two, decay and (1 + n) / (10 + n)"
    expect_close(answer(values, 0.9), _average(values, 0.9), wrong, tolerance=1e-3)
    return "the decay is the share that the average keeps, and the random start soon fades"


@check
def trapezoid(answer) -> str:
    """``step, total_steps, peak, warmup_steps, decay_steps`` → the learning rate of the step."""

    def rate(step: int) -> float:
        return float(answer(step, 100, 2.0, 10, 20))

    first = rate(0)
    expect(
        first != 0,
        "the first step has the rate 0 and learns nothing: with 10 steps of warm-up it should be a tenth of the peak",
    )
    expect(not _near(first, 2.0), "there is no warm-up: the first step already has the full rate")
    expect(not _near(first, 0.1), "the fraction is right, but the rate is in units of peak: multiply by it")
    expect(
        _near(first, 0.2), f"with a peak of 2 and 10 steps of warm-up, the first step should have 0.2, not {first:.3g}"
    )
    expect(_near(rate(50), 2.0), f"in the middle the rate should be at its peak of 2; at step 50 it is {rate(50):.3g}")
    expect(_near(rate(9), 2.0), f"the tenth step, step 9, should be the first at the peak of 2, not at {rate(9):.3g}")
    last = rate(99)
    expect(not _near(last, 2.0), "there is no decay: the last step still has the full rate")
    expect(last != 0, "the rate is 0 in the last step, which learns nothing; it should reach 0 at step total_steps")
    expect(last > 0, f"the last step has a negative rate, {last:.3g}: it would increase the loss")
    early = next((step for step in range(100) if rate(step) <= 0), None)
    expect(early is None, f"the rate is 0 from step {early} on; the decay takes the *last* decay_steps steps")
    expect(_near(last, 0.1), f"the last step should have a twentieth of the peak, 0.1, not {last:.3g}")
    expect(_near(rate(90), 1.0), f"halfway down, at step 90, the rate should be 1, not {rate(90):.3g}")
    for step in range(30):  # a short run: the warm-up is not over when the decay begins
        wanted = 3e-4 * min((step + 1) / 20, (30 - step) / 20, 1)
        got = float(answer(step, 30, 3e-4, 20, 20))
        expect(
            math.isclose(got, wanted, rel_tol=1e-6),
            f"in a run of 30 steps with 20 up and 20 down, step {step} should have {wanted:.2g}, not {got:.2g}: "
            "where warm-up and decay overlap, use the smaller",
        )
    return "it rises from above 0, stays at the peak, and falls to nearly 0 at the very end"


@check
def draw(answer) -> str:
    """``x0 [B, F, D], labels [B], scheduler, null_action, prob`` → x_t ``[B, F, D]``, t ``[B]``, labels ``[B]``."""
    size, scheduler = 4000, NoiseScheduler(10)
    x0, labels = _draws(size, 3, 2)[0], torch.arange(size) % 5
    kept, kept_labels = x0.clone(), labels.clone()
    state = torch.get_rng_state()
    torch.manual_seed(0)
    got = answer(x0, labels, scheduler, 5, 0.25)
    expect(isinstance(got, tuple) and len(got) == 3, "it should return three things: x_t, t and the labels")
    x_t, t, new = got
    expect(
        t.dim() == 1 and len(t) == size,
        f"t should have the shape [B], a timestep for each motion; it is {list(t.shape)}",
    )
    expect(len(t.unique()) > 1, "all motions have one timestep: t was drawn once for the batch, draw one per motion")
    expect(not t.is_floating_point(), "t should be integers: they index the scheduler's tables")
    expect(
        t.min() == 0,
        f"the smallest t of {size} is {t.min()}; timesteps go from 0 to T - 1, and 0 must be trained too",
    )
    expect(t.max() == 9, f"the largest t of {size} is {t.max()}; with T = 10 it should be 9; randint excludes its end")
    share = t.bincount() / size
    expect((share - 0.1).abs().max() < 0.03, "some timesteps are drawn much more often than others")
    expect(x_t.shape == x0.shape, f"x_t should have the shape {list(x0.shape)}, it is {list(x_t.shape)}")
    expect(torch.equal(x0, kept), "x0 was changed; the loss needs it clean")
    signal, rest = scheduler.sqrt_alphas_cumprod[t], scheduler.sqrt_one_minus_alphas_cumprod[t]
    noise = (x_t - signal[:, None, None] * x0) / rest[:, None, None]
    expect(noise.std(0).min() > 0.1, "all motions got the same noise; draw it in the shape of x0")
    expect(noise.std(1).mean() > 0.1, "all frames of a motion got the same noise; draw it in the shape of x0")
    right = abs(float(noise.mean())) < 0.05 and abs(float(noise.std()) - 1) < 0.05
    expect(right, "x_t is not x0 with standard normal noise: use scheduler.add_noise(x0, torch.randn_like(x0), t)")
    _check_dropped(labels, kept_labels, new)
    torch.manual_seed(1)
    never, always = (answer(x0[:50], labels[:50], scheduler, 5, prob)[2] for prob in (0.0, 1.0))
    expect(torch.equal(never, labels[:50]), "with prob = 0 no label should be hidden")
    expect((always == 5).all(), "with prob = 1 every label should be hidden")
    torch.set_rng_state(state)
    return "every motion has its own timestep, noise, and chance of losing its label"


def _check_dropped(labels: Tensor, kept: Tensor, new: Tensor) -> None:
    """Whether a quarter of the labels became 5, each independently."""
    expect(torch.equal(labels, kept), "the given labels were changed; torch.where creates new ones")
    expect(new.shape == kept.shape, f"the labels should have the shape {list(kept.shape)}, they are {list(new.shape)}")
    hidden = (new == 5).float().mean()
    whole = "either all labels of the batch are hidden or none: draw one random number per motion, not one per batch"
    expect(0 < hidden < 1, whole)
    expect(
        abs(hidden - 0.75) > 0.05,
        f"{100 * hidden:.0f} % of the labels are hidden, that is 1 - prob: is the comparison the wrong way round?",
    )
    expect(abs(hidden - 0.25) < 0.05, f"{100 * hidden:.0f} % of the labels are hidden, with prob = 0.25")
    expect(torch.equal(new[new != 5], kept[new != 5]), "a label that is not hidden should stay unchanged")
    runs = (new.view(-1, 100) == 5).float().mean(1)
    expect(runs.std() < 0.1, "the hidden labels are adjacent; each label should be hidden independently")


_CHANGED = "it changes the values it was given; create a new tensor for the average"
_SWAPPED = "the decay is the wrong way round: it is the share of the old average; the new value gets 1 - decay"


def _average(values: Tensor, decay: float, swapped: bool = False, warm: bool = True, first: int = 1) -> Tensor:
    """The moving average, or one with a common mistake."""
    averages = [values[0]]
    for n, value in enumerate(values[1:], start=first):
        keep = min(decay, (1 + n) / (10 + n)) if warm else decay
        keep = 1 - keep if swapped else keep
        averages.append(keep * averages[-1] + (1 - keep) * value)
    return torch.stack(averages)


def _near(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=1e-6)


def _draws(*shape: int) -> tuple[Tensor, Tensor]:
    """Two tensors of seeded noise."""
    return tuple(torch.randn(2, *shape, generator=torch.Generator().manual_seed(0)))
