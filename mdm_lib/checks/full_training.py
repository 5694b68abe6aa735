"""Checks of the exercises on full training."""

import math

import torch
from torch import Tensor, nn

from mdm_lib.checks.tutor import check, expect, expect_close, refuse


@check
def steps_and_hours(answer) -> str:
    """``answer(epochs, num_clips, batch_size, steps_a_second)`` → optimiser steps, and their duration in hours."""
    for epochs, clips, batch, speed in ((30, 128, 64, 2.0), (10, 100, 64, 0.5), (30_000, 953, 64, 8.0)):
        result = answer(epochs, clips, batch, speed)
        expect(
            isinstance(result, tuple | list) and len(result) == 2,
            f"it should give two numbers, (steps, hours); it gives a {type(result).__name__}",
        )
        steps, hours = result
        case = f"for {epochs} epochs of {clips} clips in batches of {batch}"
        right = math.ceil(epochs * clips / batch)
        mistakes = [
            (epochs * clips, "this is the number of clips shown; a step takes a whole batch of them"),
            (
                epochs * math.ceil(clips / batch),
                "every epoch is rounded up; batches continue across its end, so round once",
            ),
            (
                epochs * (clips // batch),
                "every epoch is rounded down, as if its last clips were dropped; round once, up",
            ),
            (epochs * clips // batch, "you rounded down, so the last clips are not shown; round up"),
            (epochs * clips / batch, "the number of steps is an integer; round it up"),
        ]
        for wrong, complaint in mistakes:
            if wrong != right:
                refuse(steps, float(wrong), complaint)
        expect_close(steps, float(right), f"{case} it should be {right} steps")
        seconds = right / speed
        for wrong, complaint in (
            (seconds, "these are seconds; an hour has 3,600"),
            (seconds / 60, "these are minutes; divide by 60 once more"),
            (right * speed / 3600, "divide by the steps per second: faster means fewer hours"),
        ):
            refuse(hours, wrong, complaint)
        expect_close(hours, seconds / 3600, f"{case} at {speed:g} steps per second it should be {seconds / 3600:.3g} h")
    return "steps are rounded up once, over the whole run, and the hours follow from the measured speed"


@check
def training_bytes(answer) -> str:
    """``answer(model)`` → bytes of weights, gradients, AdamW's two means and the EMA, in float32."""
    model = nn.Sequential(nn.Linear(30, 20), nn.LayerNorm(20), nn.Linear(20, 10))
    size = sum(weight.numel() for weight in model.parameters())
    got = answer(model)
    for wrong, complaint in (
        (5 * size, "these are numbers, not bytes; a float32 has four bytes"),
        (40 * size, "that is eight bytes per number; a float32 has four"),
        (10 * size, "that is two bytes per number; all five are float32, four bytes"),
        (4 * size, "these are only the weights; training keeps four more numbers for each"),
        (8 * size, "two numbers per weight; there are five: weight, gradient, AdamW's two means, EMA"),
        (12 * size, "three numbers per weight; there are five: weight, gradient, AdamW's two means, EMA"),
        (16 * size, "one of the five is missing: weight, gradient, AdamW's two means (two!), EMA"),
        (20 * len(list(model.parameters())), "this counts tensors; numel() counts the elements of one"),
        (20 * sum(w.numel() for w in model.parameters() if w.dim() > 1), "the biases and norms are missing"),
    ):
        refuse(got, wrong, complaint)
    expect_close(got, float(20 * size), f"for {size} weights it should be {20 * size} bytes")
    model[0].requires_grad_(False)
    frozen = sum(weight.numel() for weight in model[0].parameters())
    got = answer(model)
    refuse(got, 20 * size, "a frozen weight (requires_grad is False) has no gradient and no AdamW means")
    refuse(got, 20 * (size - frozen), "a frozen weight is not trained, but it is in the model and in the EMA")
    refuse(got, 20 * (size - frozen) + 4 * frozen, "a frozen weight is in the model and in the EMA: two numbers")
    expect_close(got, float(20 * (size - frozen) + 8 * frozen), "with frozen weights the number of bytes is wrong")
    return "five numbers for a trained weight, two for a frozen one, four bytes each"


@check
def copies(answer) -> str:
    """``answer(counts [K])`` → how often an epoch shows each action's clips, ``[K]``, at least once."""
    for counts in (torch.tensor([100, 30, 15, 49]), torch.tensor([7, 90, 12, 90, 31]), torch.tensor([40, 0, 3])):
        given = counts.clone()
        got = answer(given)
        expect(isinstance(got, Tensor), f"it should give a tensor, it gives a {type(got).__name__}")
        expect(torch.equal(given, counts), "the given counts are changed; leave them unchanged")
        expect(got.shape == counts.shape, f"give one number per action, {list(counts.shape)}, not {list(got.shape)}")
        expect(bool(got.isfinite().all()), "an action without clips leads to division by 0; clamp counts to at least 1")
        exact = counts.max() / 2 / counts.clamp(min=1)
        right = exact.round().clamp(min=1)
        for wrong, complaint in (
            (exact.round(), "some clips are shown 0 times: even the most common action is shown once"),
            (exact, "a clip cannot be shown a fractional number of times; round"),
            (exact.clamp(min=1), "a clip cannot be shown a fractional number of times; round"),
            (exact.floor().clamp(min=1), "rounded down; round to the nearest, so that it comes to about half"),
            (exact.ceil().clamp(min=1), "rounded up; round to the nearest, so that it comes to about half"),
            ((2 * exact).round().clamp(min=1), "this raises all actions to the largest count; the aim is half of it"),
            (
                (counts.float().mean() / counts.clamp(min=1)).round().clamp(min=1),
                "compare with the largest count, not the mean",
            ),
            (counts, "these are the counts; how often should each action's clips be shown?"),
        ):
            if not torch.equal(wrong.float(), right):
                refuse(got, wrong, complaint)
        expect_close(got, right, f"for the counts {counts.tolist()} it should be {right.long().tolist()}")
        expect(not got.is_floating_point(), "the numbers are right; make them integers with .long()")
    return "rare actions reach about half of the most common one, and none is left out"
