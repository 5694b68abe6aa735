"""What an outside judge says: how many motions of each action the recogniser of the HumanAct12 papers names rightly.

    python benchmarks/outside_judge.py --recogniser FILE [--checkpoint FILE] [--data DATA] [--seed 0]

It never saw the embedded clips. A row an action: the data's clips, and as many motions of the checkpoint, of the same
actions and lengths. FILE is action_recognition_model_humanact12.tar of github.com/EricGuo5513/action-to-motion.
"""

from dataclasses import replace

import click
import torch
from common import describe

from mdm_lib import generate, load_checkpoint, load_clips, runtime
from mdm_lib.evaluation.action2motion import NUM_FRAMES, load_action2motion
from mdm_lib.motion.windows import cut_windows
from mdm_lib.sampling import Sampling


@click.command()
@click.option("--recogniser", required=True)
@click.option("--checkpoint", default="assets/synthetic.pth", show_default=True)
@click.option("--data", default="synthetic", show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(recogniser: str, checkpoint: str, data: str, seed: int):
    runtime.set_threads()
    judge, model = load_action2motion(recogniser), load_checkpoint(checkpoint, runtime.pick_device())
    clips = load_clips(data)
    index = torch.arange(len(clips))
    joints, mask = cut_windows(clips, index, torch.zeros_like(index), NUM_FRAMES)
    lengths, labels = mask.sum(1), clips.labels
    sampling, made = Sampling().planned(model), []
    for batch, part in enumerate(index.split(100)):
        own = replace(sampling, num_frames=NUM_FRAMES, lengths=lengths[part].tolist(), seed=1000 * seed + batch)
        made.append(generate(model, labels[part].tolist(), sampling=own))
    right = [judge.recognise(each, lengths).logits.argmax(1) == labels for each in (joints, torch.cat(made))]
    print(f"{describe()}\n")
    print(f"| named rightly, % | clips ({data}, first {NUM_FRAMES} frames) | {checkpoint} |\n|---|---|---|")
    for label, name in enumerate(judge.label_names):
        print(f"| {name} | {' | '.join(f'{100 * each[labels == label].double().mean():.0f}' for each in right)} |")
    print(f"| all | {' | '.join(f'{100 * each.double().mean():.1f}' for each in right)} |")


if __name__ == "__main__":
    main()
