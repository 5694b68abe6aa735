"""The checks of chapter 05: right answers pass, typical wrong ones are told what is wrong with them."""

import pytest
import torch

from mdm_lib.checks import training_loop as checks
from mdm_lib.checks.tutor import WrongAnswer
from mdm_lib.training.objective import masked_mse, training_loss


def test_motion_loss_right(capsys):
    checks.motion_loss(lambda *arguments: training_loss(*arguments)[0])
    assert capsys.readouterr().out.startswith("✔ motion_loss")


def loss_with(mse=masked_mse, vel=masked_mse, pairs=lambda mask: mask[:, 1:] & mask[:, :-1], on_mse=False):
    """The loss with a mistake in one of its parts."""

    def motion_loss(pred_x0, x0, mask, vel_weight):
        of_pose, of_change = mse(pred_x0, x0, mask), vel(pred_x0.diff(dim=1), x0.diff(dim=1), pairs(mask))
        return vel_weight * of_pose + of_change if on_mse else of_pose + vel_weight * of_change

    return motion_loss


def mean_over_all(prediction, target, mask):
    return (prediction - target).square().mean((1, 2))


def divided_by_all(prediction, target, mask):
    return ((prediction - target).square().mean(-1) * mask).mean(1)


def unguarded(prediction, target, mask):
    return ((prediction - target).square().mean(-1) * mask).sum(1) / mask.sum(1)


def features_added(prediction, target, mask):
    return masked_mse(prediction, target, mask) * prediction.shape[2]


def one_for_all(prediction, target, mask):
    return ((prediction - target).square().mean(-1) * mask).sum() / mask.sum()


@pytest.mark.parametrize(
    "answer, complaint",
    [
        (loss_with(mse=mean_over_all, vel=mean_over_all), "the padded frame was counted"),
        (loss_with(mse=divided_by_all, vel=divided_by_all), "divide by the real frames, not by F"),
        (loss_with(vel=mean_over_all), "from the last real frame into the padding"),
        (loss_with(pairs=lambda mask: mask[:, :-1]), "from the last real frame into the padding"),
        (loss_with(vel=divided_by_all), "there is one real change"),
        (loss_with(vel=unguarded), "0 / 0 is NaN"),
        (loss_with(mse=features_added, vel=features_added), "take their mean"),
        (loss_with(mse=one_for_all, vel=one_for_all), "one number for the whole batch"),
        (lambda pred, x0, mask, weight: training_loss(pred, x0, mask, min(weight, 1.0))[0], "did you forget λ"),
        (lambda pred, x0, mask, weight: (training_loss(pred, x0, mask, weight)[0]).sqrt(), "mean square of 5"),
        (loss_with(mse=lambda *three: one_for_all(*three).expand(len(three[0]))), "share one mse"),
    ],
)
def test_motion_loss_wrong(answer, complaint):
    with pytest.raises(WrongAnswer, match=complaint):
        checks.motion_loss(answer)


def averaged(keep=lambda n, decay: min(decay, (1 + n) / (10 + n)), start=None, n_from=1, swapped=False):
    """A moving average with a mistake in it."""

    def moving_average(values, decay):
        averages = [values[0] if start is None else torch.tensor(start)]
        for n, value in enumerate(values[1:], start=n_from):
            kept = keep(n, decay)
            old, new = (value, averages[-1]) if swapped else (averages[-1], value)
            averages.append(kept * old + (1 - kept) * new)
        return torch.stack(averages)

    return moving_average


def test_moving_average_right(capsys):
    checks.moving_average(averaged())
    assert capsys.readouterr().out.startswith("✔ moving_average")


def in_place(values, decay):
    for n in range(1, len(values)):
        values[n] = torch.lerp(values[n], values[n - 1], min(decay, (1 + n) / (10 + n)))
    return values.clone()


@pytest.mark.parametrize(
    "answer, complaint",
    [
        (averaged(swapped=True), "the decay is the wrong way round"),
        (averaged(keep=lambda n, decay: decay), "the warm-up is missing"),
        (averaged(keep=lambda n, decay: decay, swapped=True), "the decay is the wrong way round"),
        (averaged(n_from=0), "n counts from 1"),
        (averaged(start=0.0), "it starts at 0"),
        (averaged(keep=lambda n, decay: (1 + n) / (10 + n)), "the decay is the \\*smaller\\*"),
        (lambda values, decay: averaged()(values, decay)[1:], "is included"),
        (lambda values, decay: list(averaged()(values, decay)), "torch.stack"),
        (in_place, "it changes the values"),
    ],
)
def test_moving_average_wrong(answer, complaint):
    with pytest.raises(WrongAnswer, match=complaint):
        checks.moving_average(answer)


def rate_with(rise=lambda n, up: (n + 1) / up, fall=lambda n, total, down: (total - n) / down, by=min):
    def trapezoid(step, total_steps, peak, warmup_steps, decay_steps):
        return peak * by(rise(step, warmup_steps), 1.0, fall(step, total_steps, decay_steps))

    return trapezoid


def product(rising, top, falling):
    return min(rising, top) * min(falling, top)


@pytest.mark.parametrize("answer", [rate_with(), lambda *five: torch.tensor(rate_with()(*five), dtype=torch.float64)])
def test_trapezoid_right(answer, capsys):
    checks.trapezoid(answer)
    assert capsys.readouterr().out.startswith("✔ trapezoid")


@pytest.mark.parametrize(
    "answer, complaint",
    [
        (rate_with(rise=lambda n, up: n / up), "the first step has the rate 0"),
        (rate_with(rise=lambda n, up: 1.0), "there is no warm-up"),
        (rate_with(fall=lambda n, total, down: 1.0), "there is no decay"),
        (rate_with(fall=lambda n, total, down: (total - 1 - n) / down), "the rate is 0 in the last step"),
        (rate_with(fall=lambda n, total, down: max(0, total - down - n) / down), "the rate is 0 in the last step"),
        (rate_with(fall=lambda n, total, down: (total - n) / total), "in the middle the rate should be at its peak"),
        (rate_with(fall=lambda n, total, down: (total - 1.5 - n) / down), "a negative rate"),
        (rate_with(fall=lambda n, total, down: (total - n + 5) / down), "a twentieth of the peak"),
        (lambda *five: rate_with()(*five) / five[2], "in units of peak"),
        (rate_with(by=product), "where warm-up and decay overlap"),
    ],
)
def test_trapezoid_wrong(answer, complaint):
    with pytest.raises(WrongAnswer, match=complaint):
        checks.trapezoid(answer)


def draws(
    times=lambda b, top: torch.randint(top, (b,)), noise=torch.randn_like, chance=torch.rand, hide=lambda u, p: u < p,
    keep=lambda labels: labels,
):  # fmt: skip
    """The draws of a step with a mistake in one of them."""

    def draw(x0, labels, scheduler, null_action, prob):
        t = times(len(x0), scheduler.num_timesteps)
        hidden = hide(chance(len(x0)), prob)
        x_t = scheduler.add_noise(x0, noise(x0), t)
        return x_t, t, torch.where(hidden, null_action, keep(labels))

    return draw


def in_place_labels(x0, labels, scheduler, null_action, prob):
    labels[torch.rand(len(labels)) < prob] = null_action
    t = torch.randint(scheduler.num_timesteps, (len(x0),))
    return scheduler.add_noise(x0, torch.randn_like(x0), t), t, labels


def in_place_motion(x0, labels, scheduler, null_action, prob):
    x_t, t, labels = draws()(x0, labels, scheduler, null_action, prob)
    return x0.copy_(x_t), t, labels


def test_draw_right(capsys):
    state = torch.get_rng_state()
    checks.draw(draws())
    assert capsys.readouterr().out.startswith("✔ draw")
    assert torch.equal(torch.get_rng_state(), state)  # a check disturbs no draw of the reader's


@pytest.mark.parametrize(
    "answer, complaint",
    [
        (draws(times=lambda b, top: torch.randint(top, (1,)).expand(b)), "t was drawn once for the batch"),
        (draws(times=lambda b, top: torch.randint(top, (1,))), "a timestep for each motion"),
        (draws(times=lambda b, top: torch.randint(1, top, (b,))), "the smallest t of 4000 is 1"),
        (draws(times=lambda b, top: torch.randint(top - 1, (b,))), "the largest t of 4000 is 8"),
        (draws(times=lambda b, top: torch.arange(b) % top // 2 * 3 % top), "much more often"),
        (draws(noise=lambda x: torch.randn(x.shape[1:]).expand(x.shape)), "all motions got the same noise"),
        (draws(noise=lambda x: torch.randn(len(x), 1, x.shape[2]).expand(x.shape)), "all frames of a motion"),
        (draws(noise=torch.rand_like), "not x0 with standard normal noise"),
        (draws(chance=lambda b: torch.rand(1).expand(b)), "one random number per motion"),
        (draws(hide=lambda u, p: u > p), "that is 1 - prob"),
        (draws(chance=lambda b: torch.arange(b) / b), "are adjacent"),
        (draws(keep=lambda labels: labels.flip(0)), "should stay unchanged"),
        (in_place_labels, "the given labels were changed"),
        (in_place_motion, "x0 was changed"),
        (lambda *five: draws()(*five)[:2], "three things"),
    ],
)
def test_draw_wrong(answer, complaint):
    with pytest.raises(WrongAnswer, match=complaint):
        checks.draw(answer)
