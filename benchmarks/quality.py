"""Quality against sampler, steps and guidance: one checkpoint, one judge, a row for every way to sample.

    python benchmarks/quality.py --checkpoint FILE --data DATA [--way ddim:10:1.5]... [--seeds 5]

A way is SAMPLER:STEPS:GUIDANCE; STEPS may be "all". Each row is the mean over the seeds with its 95 % interval.
"""

import click
from common import describe

from mdm_lib import load_checkpoint, load_clips, runtime
from mdm_lib.evaluation.judge import evaluate, judge_for

WAYS = [f"{sampler}:{steps}:1" for sampler in ("dpm_solver", "ddim", "ddpm") for steps in (10, 20, "all")] + [
    f"dpm_solver:20:{guidance}" for guidance in (1.5, 2, 3)
]
MEASURES = ("FID", "recognised", "speed / real", "skating ratio", "diversity", "multimodality")


@click.command()
@click.option("--checkpoint", required=True)
@click.option("--data", default="synthetic", show_default=True)
@click.option("--way", "ways", multiple=True, default=WAYS)
@click.option("--seeds", default=5, show_default=True)
def main(checkpoint: str, data: str, ways: list[str], seeds: int):
    runtime.set_threads()
    model = load_checkpoint(checkpoint, runtime.pick_device())
    judge = judge_for(load_clips(data), model.config.num_frames, cache="output")
    print(f"{describe()}\n\n| sampler | steps | guidance | {' | '.join(MEASURES)} |\n{'|---' * (len(MEASURES) + 3)}|")
    for way in ways:
        sampler, steps, guidance = way.split(":")
        num_steps = model.config.num_timesteps if steps == "all" else int(steps)
        route = {"sampler": sampler, "num_steps": num_steps, "guidance_scale": float(guidance)}
        card = evaluate(model, judge, num_seeds=seeds, **route)
        figures = [card.get(measure) for measure in MEASURES]
        cells = [f"{f.value:.3f}" + (f" ± {f.interval:.3f}" if f.interval else "") for f in figures]
        print(f"| {sampler} | {num_steps} | {guidance} | {' | '.join(cells)} |", flush=True)
    print(f"| real | | | {' | '.join(f'{f.real:.3f}' for f in figures)} |")


if __name__ == "__main__":
    main()
