"""Explorers of noise, attention, sampling and generated motions, for notebooks.

All four only connect ``explore(fn, **controls)`` to the package. They also work without a browser: set a control's
``value`` and look at ``stage``.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import ipywidgets as widgets
import torch
from torch import Tensor

from mdm_lib.checkpoint import Checkpoint
from mdm_lib.features.joints import REPRESENTATIONS
from mdm_lib.motion.clips import MotionClips
from mdm_lib.motion.skeleton import Skeleton
from mdm_lib.motion.windows import first_clip
from mdm_lib.notebook import fixed_noise
from mdm_lib.samplers import DEFAULT_SAMPLER, DEFAULT_STEPS, SAMPLERS, DenoisingStep
from mdm_lib.sampling import Sampling, finish, sample
from mdm_lib.scheduler import NoiseScheduler
from mdm_lib.visualise.inspect import attention, told_names
from mdm_lib.visualise.plots import plot_attention, plot_noise
from mdm_lib.visualise.strips import film_strip
from mdm_lib.widgets.engine import Explorer, explore
from mdm_lib.widgets.stage import Motion

# The explorers ------------------------------------------------------------------------------------------------------


def noise_explorer(clips: MotionClips, num_timesteps: int = 1000, representation: str = "root_velocity") -> Explorer:
    """Add noise to a clip: its skeleton, one joint's height, and the position on the schedule.

    Args:
        clips: the first clip of each action can be selected.
        num_timesteps: number of diffusion steps, T.
        representation: the features that the noise is added to, a key of ``mdm_lib.features.REPRESENTATIONS``.
    """
    features = REPRESENTATIONS[representation](clips.skeleton).fit(clips.joints, clips.mask)
    scheduler = lru_cache(NoiseScheduler)

    def show(action, schedule, joint, t):
        joints = first_clip(clips, action)
        x0 = features.encode(joints)
        x_t = scheduler(num_timesteps, schedule).add_noise(x0, fixed_noise(x0), torch.tensor([t]))
        height, alphas = 3 * clips.skeleton.joint[joint] + 1, scheduler(num_timesteps, schedule).alphas_cumprod
        name = f"{joint.replace('_', ' ')}, height"
        plot = plot_noise(x0[0, :, height], x_t[0, :, height], name, alphas, t)
        both = torch.cat([joints, features.decode(x_t)])
        return {"x0, x_t, alpha-bar and SNR": plot, "skeleton": _of(clips, both, ["x0", f"x_t, t = {t}"])}

    return explore(
        show, action=actions_of(clips), schedule=["linear", "cosine"], joint=_telling_joints(clips.skeleton),
        t=widgets.IntSlider(num_timesteps // 4, 0, num_timesteps - 1),
    )  # fmt: skip


def attention_explorer(checkpoint: Checkpoint, clips: MotionClips) -> Explorer:
    """Which frames of a noisy clip each frame attends to, in every layer and head of a model."""
    config, device = checkpoint.config, checkpoint.representation.mean.device

    def show(action, layer, head, t, frame):
        joints = first_clip(clips, action, config.num_frames)
        frame = min(frame, joints.shape[1] - 1)
        x0 = checkpoint.representation.encode(joints.to(device))
        x_t = checkpoint.scheduler.add_noise(x0, fixed_noise(x0), torch.tensor([t], device=device))
        weights = attention(checkpoint, x_t, t, action, layer - 1)[head - 1]
        plot = plot_attention(weights, frame, told_names(checkpoint.model))
        return {"attention": plot, "skeleton": _of(clips, joints, [f"query: frame {frame}"], frame)}

    return explore(
        show, action=actions_of(clips), layer=(1, config.num_layers), head=(1, config.num_heads),
        t=widgets.IntSlider(config.num_timesteps // 4, 0, config.num_timesteps - 1),
        frame=widgets.IntSlider(config.num_frames // 2, 0, config.num_frames - 1),
    )  # fmt: skip


def sampler_explorer(checkpoint: Checkpoint) -> Explorer:
    """Sample a motion, then scrub through its denoising steps: x_t beside pred_x0."""
    num_timesteps = checkpoint.config.num_timesteps
    few = min(DEFAULT_STEPS, num_timesteps)

    @lru_cache(maxsize=1)  # the current motion: its steps are computed once, then scrubbed
    def begin(action, sampling: Sampling) -> tuple[list[DenoisingStep], Iterator[DenoisingStep]]:
        return [], sample(checkpoint, action, sampling=sampling)

    def show(action, sampler, steps, guidance, seed, step):
        num_steps = None if sampler == "ddpm" else steps
        made, coming = begin(action, Sampling(sampler, num_steps, guidance_scale=guidance, seed=seed))
        for new in coming:
            made.append(new)
            yield len(made) / shown.max, show_step(made[min(step, len(made)) - 1])
        yield 1.0, show_step(made[step - 1])

    def show_step(step: DenoisingStep) -> dict:
        return {"x_t and pred_x0": noisy_and_clean(checkpoint, step)}

    sampler = widgets.Dropdown(options=list(SAMPLERS), value=DEFAULT_SAMPLER)
    steps = widgets.IntSlider(few, 1, min(100, num_timesteps))
    guidance = widgets.FloatSlider(checkpoint.guidance_scale, min=0, max=5, step=0.5)
    shown = widgets.IntSlider(few, 1, few)

    def fit(_change):
        """Set the slider's range to the sampler's steps, and show the last one."""
        steps.disabled = sampler.value == "ddpm"
        shown.max = num_timesteps if sampler.value == "ddpm" else steps.value
        shown.value = shown.max

    sampler.observe(fit, "value")  # before ``explore`` does, so that it sees the adjusted slider
    steps.observe(fit, "value")
    actions = list(checkpoint.label_names)
    return explore(
        show, action=actions, sampler=sampler, steps=steps, guidance=guidance, seed=(0, 20), step=shown
    )  # fmt: skip


def gallery(
    checkpoint: Checkpoint, actions: Sequence[str | int] | None = None, seeds: Sequence[int] = (0, 1, 2)
) -> Explorer:
    """Several actions (by default the first three), several seeds of each, all in one player or film strip."""
    ids = [checkpoint.action_id(action) for action in (range(3) if actions is None else actions)]
    captions = [f"{checkpoint.label_names[i]}, seed {seed}" for seed in seeds for i in ids]

    @lru_cache(maxsize=4)
    def begin(num_steps) -> list[Tensor]:
        return []

    def show(steps, view):
        made = begin(steps)  # one batch [actions, F, J, 3] per seed
        while len(made) < len(seeds):
            for i, step in enumerate(sample(checkpoint, ids, num_steps=steps, seed=seeds[len(made)]), 1):
                pred_x0 = step.pred_x0
                yield (len(made) + i / steps) / len(seeds), None
            made.append(finish(checkpoint, pred_x0))
        motions = torch.cat(made)
        strips = view == "film strips"
        shown = _of(checkpoint, motions, captions, columns=len(ids))
        look = {"captions": captions, "fps": checkpoint.fps, "skeleton": checkpoint.skeleton}
        picture = film_strip(motions, **look) if strips else shown
        yield 1.0, {"samples": picture}

    most = min(50, checkpoint.config.num_timesteps)
    return explore(show, steps=widgets.IntSlider(min(10, most), 1, most), view=["player", "film strips"])


# What they compute --------------------------------------------------------------------------------------------------


def actions_of(clips: MotionClips) -> list[str]:
    """The names of the actions that have a clip."""
    return [clips.label_names[i] for i in clips.labels.unique().tolist()]


def noisy_and_clean(checkpoint: Checkpoint, step: DenoisingStep) -> Motion:
    """x_t and pred_x0 of a sampler's first sample, as two motions ``[2, F, J, 3]``."""
    joints = torch.cat([checkpoint.representation.decode(step.x_t[:1]).cpu(), finish(checkpoint, step.pred_x0[:1])])
    return _of(checkpoint, joints, [f"x_t, t = {step.t}", f"pred_x0, t = {step.t}"])


def _of(data: MotionClips | Checkpoint, joints: Tensor, *rest, **options) -> Motion:
    """A motion with the skeleton and frame rate of ``data``."""
    return Motion(joints, *rest, **options, skeleton=data.skeleton, fps=data.fps)


def _telling_joints(skeleton: Skeleton) -> list[str]:
    """A few joints with informative heights, if the skeleton has them; else all."""
    return [name for name in ("right_wrist", "left_foot", "head") if name in skeleton.joint] or [*skeleton.joint_names]
