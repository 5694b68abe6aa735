"""Minutes of training until motions are good: the course's recipe against the plain one, side by side.

    python benchmarks/time_to_quality.py [--data DATA] [--minutes 2,4,8,16] [--plain-minutes 2,4,8,16,32] [--json FILE]

The same network, clips and number of threads. *Plain* is what one writes first: joint positions with one mean and one
deviation for all, T = 1000 and a linear schedule, MSE + 10 × velocity, AdamW at 1e-4, no averaged weights, no mirrored
clips, all windows of one length, ancestral sampling. *Good* is recognised ≥ 95 % and FID ≤ 5 × that of real motion.

Our learning rate falls to the end of a training, so each budget is a training of its own; the plain one is a single
training, looked at on its way. Only training is timed.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click
from common import describe
from torch import Tensor

from mdm_lib import PRESETS, load_clips, runtime
from mdm_lib.checkpoint import Checkpoint
from mdm_lib.config import Config
from mdm_lib.evaluation.judge import Judge, evaluate, judge_for
from mdm_lib.features.joints import REPRESENTATIONS, Positions
from mdm_lib.training import Trainer, train

GOOD = "recognised ≥ 95 %, FID ≤ 5 × real"


class OneScale(Positions):
    """Joint positions with a single mean and a single deviation."""

    def scale_groups(self) -> Tensor:
        return super().scale_groups() * 0

    def fit_parts(self, parts) -> "OneScale":
        super().fit_parts(parts)
        spread = self.mean.var(unbiased=False)  # of the features' means, which now adds to the deviation
        self.std.copy_((self.std.square() + spread).sqrt())
        self.mean.copy_(self.mean.mean())
        return self


def recipes(network: dict) -> dict[str, Config]:
    """Ours and the plain one, with the same network."""
    ours = replace(PRESETS["small"], **network)
    plain = Config(
        **network, representation="one_scale", num_timesteps=1000, mirror=False, lr=1e-4, final_lr=1e-4, warmup_steps=1,
        grad_clip=1e9, vel_weight=10.0, balance_timesteps=False, ema_decay=0.0, batch_size=ours.batch_size,
    )  # fmt: skip
    return {"ours": ours, "plain": plain}


def trained_for(clips, config: Config, budgets: list[float], falling: bool) -> Iterator[tuple[float, Checkpoint]]:
    """After each budget of minutes: the minutes, and the model."""
    if falling:
        for minutes in budgets:
            *_, trainer = train(clips, config, minutes=minutes)
            yield minutes, trainer.checkpoint()
        return
    trainer, spent = Trainer(clips, config, 10**9), 0.0
    for minutes in budgets:
        begun = time.perf_counter()
        while spent + time.perf_counter() - begun < 60 * minutes:
            trainer.advance()
        spent += time.perf_counter() - begun
        yield minutes, trainer.checkpoint()


def scores(model: Checkpoint, judge: Judge, way: dict) -> dict[str, float]:
    card = evaluate(model, judge, num_seeds=1, **way)
    named = {measure: card.get(measure) for measure in ("recognised", "FID", "speed / real", "jerk / real")}
    return {name: figure.value for name, figure in named.items()} | {"FID of real": named["FID"].real}


def floats(text: str) -> list[float]:
    return [float(each) for each in text.split(",")]


@click.command()
@click.option("--data", default="synthetic:6000", show_default=True)
@click.option("--minutes", default="2,4,8,16", show_default=True)
@click.option("--plain-minutes", default="2,4,8,16,32", show_default=True)
@click.option("--samples", default=240, show_default=True)
@click.option("--latent-dim", default=96, show_default=True)
@click.option("--num-layers", default=5, show_default=True)
@click.option("--json", "json_path", type=Path)
def main(data, minutes, plain_minutes, samples, latent_dim, num_layers, json_path):
    runtime.set_threads()
    REPRESENTATIONS["one_scale"] = OneScale
    every = load_clips(data)
    judge, clips = judge_for(every, 60, samples, cache="output"), every.split()[0].balanced()
    network = {"latent_dim": latent_dim, "num_layers": num_layers, "ff_size": 4 * latent_dim}
    ways = {"ours": {"guidance_scale": 1.25}, "plain": {"sampler": "ddpm", "guidance_scale": 1.0}}
    budgets = {"ours": floats(minutes), "plain": floats(plain_minutes)}
    columns = ("recipe", "minutes", "recognised", "FID (real)", "speed / real", "jerk / real", "good")
    print(f"{describe()}\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    rows = []
    for name, config in recipes(network).items():
        for spent, model in trained_for(clips, config, budgets[name], falling=name == "ours"):
            found = scores(model, judge, ways[name])
            good = found["recognised"] >= 0.95 and found["FID"] <= 5 * found["FID of real"]
            rows.append({"recipe": name, "minutes": spent, "good": good, **found})
            print(
                f"| {name} | {spent:g} | {100 * found['recognised']:.1f} % | {found['FID']:.2f} "
                f"({found['FID of real']:.2f}) | {found['speed / real']:.2f} | {found['jerk / real']:.2f} "
                f"| {'yes' if good else 'no'} |", flush=True,
            )  # fmt: skip
    if json_path:
        json_path.write_text(json.dumps({"machine": describe(), "data": data, "good": GOOD, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
