"""The samplers against diffusers and exact solutions; guidance, spacings, lengths, and what `sample` refuses."""

from collections import Counter
from dataclasses import FrozenInstanceError, replace
from itertools import pairwise

import pytest
import torch
from click.testing import CliRunner
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler
from hypothesis import given, settings
from hypothesis import strategies as st

from mdm_lib import PRESETS, Checkpoint, InputError, NoiseScheduler, Sampling, generate, sample
from mdm_lib.checkpoint import build
from mdm_lib.commands.cli import main
from mdm_lib.conditions import ActionVocabulary
from mdm_lib.guidance import guided
from mdm_lib.ideal import IdealForClips, IdealForGaussian
from mdm_lib.motion.skeleton import bone_lengths, hold_bone_lengths
from mdm_lib.samplers import (
    DEFAULT_SAMPLER,
    DEFAULT_STEPS,
    SAMPLERS,
    SPACINGS,
    ddim,
    ddpm,
    dpm_solver,
    half_log_snr,
    plan,
    timesteps,
)
from mdm_lib.sampling import finish, hold_last_pose

SCHEDULES = ["linear", "cosine"]
NAMES = ("walk", "jump", "sit")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def noise(*shape, seed=0, **options):
    return torch.randn(shape, generator=seeded(seed), **options)


def denoise(x_t, t):
    """A denoiser with a will of its own: bends, and changes with t."""
    return torch.tanh(1.3 * x_t + t[0] / 500 - 0.5)


def last(steps):
    *_, step = steps
    return step


# against diffusers ---------------------------------------------------------------------------------------------------


def oracle(kind, schedule, num_timesteps=1000, **options):
    scale = 1000 / num_timesteps
    return kind(
        num_timesteps, beta_start=1e-4 * scale, beta_end=0.02 * scale, prediction_type="sample",
        beta_schedule={"linear": "linear", "cosine": "squaredcos_cap_v2"}[schedule], **options,
    )  # fmt: skip


def run_oracle(scheduler, x, **options):
    """All x_t of a sampling, and at the end the motion."""
    states = []
    for t in scheduler.timesteps:
        states.append(x)
        x = scheduler.step(denoise(x, t[None]), int(t), x, **options).prev_sample
    return [*states, x]


def assert_same(steps, states):
    steps = list(steps)
    for ours, theirs in zip([*(s.x_t for s in steps), steps[-1].pred_x0], states, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=2e-3)  # theirs are float32 from the first β on


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_ddpm_equals_diffusers(schedule):
    theirs = oracle(DDPMScheduler, schedule, 100, clip_sample=False)
    theirs.set_timesteps(timesteps=list(range(99, -1, -1)))
    ours = ddpm(denoise, noise(2, 5, 6), NoiseScheduler(100, schedule), range(99, -1, -1), seeded(1))
    assert_same(ours, run_oracle(theirs, noise(2, 5, 6), generator=seeded(1)))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_ddpm_over_a_part_of_the_steps_equals_diffusers(schedule):
    scheduler, theirs = NoiseScheduler(1000, schedule), oracle(DDPMScheduler, schedule, clip_sample=False)
    run, visited = plan(scheduler, "ddpm", 13, "log_snr")
    theirs.set_timesteps(timesteps=visited)
    ours = run(denoise, noise(2, 5, 6), scheduler, visited, seeded(1))
    assert_same(ours, run_oracle(theirs, noise(2, 5, 6), generator=seeded(1)))


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("eta", [0.0, 0.5])
def test_ddim_equals_diffusers(schedule, eta):
    scheduler = NoiseScheduler(1000, schedule)
    theirs = oracle(DDIMScheduler, schedule, clip_sample=False, timestep_spacing="trailing")
    theirs.set_timesteps(20)
    visited = timesteps(scheduler, 20, "trailing")
    assert visited == theirs.timesteps.tolist()
    ours = ddim(denoise, noise(2, 5, 6), scheduler, visited, seeded(1), eta=eta)
    assert_same(ours, run_oracle(theirs, noise(2, 5, 6), eta=eta, generator=seeded(1)))


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize(("sampler", "order"), [(ddim, 1), (dpm_solver, 2)])
def test_dpm_solver_and_its_first_order_equal_diffusers(schedule, spacing, sampler, order):
    """Lu et al. 2022, section 4: of first order it is DDIM."""
    scheduler = NoiseScheduler(1000, schedule)
    theirs = oracle(DPMSolverMultistepScheduler, schedule, algorithm_type="dpmsolver++", solver_order=order,
                    solver_type="midpoint", thresholding=False, final_sigmas_type="zero")  # fmt: skip
    visited = timesteps(scheduler, 20, spacing)
    theirs.set_timesteps(timesteps=visited)
    assert_same(sampler(denoise, noise(2, 5, 6), scheduler, visited), run_oracle(theirs, noise(2, 5, 6)))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_ddim_with_eta_1_over_all_steps_is_ddpm(schedule):
    """Song et al. 2021, section 4.1."""
    scheduler, visited = NoiseScheduler(50, schedule), range(49, -1, -1)
    one = ddpm(denoise, noise(2, 5, 6), scheduler, visited, seeded(1))
    other = ddim(denoise, noise(2, 5, 6), scheduler, visited, seeded(1), eta=1.0)
    for ours, theirs in zip(one, other, strict=True):
        assert ours.t == theirs.t
        torch.testing.assert_close(ours.x_t, theirs.x_t, rtol=1e-3, atol=1e-4)


# against the exact solution ------------------------------------------------------------------------------------------

MEAN, COV = torch.tensor([0.5, -1.0], dtype=torch.float64), torch.tensor([[1.0, 0.6], [0.6, 0.5]], dtype=torch.float64)


def exact_flow(scheduler, x, start, end):
    """The probability-flow ODE for N(MEAN, COV): around α·mean, an axis of variance s scales like √(α² s + σ²)."""
    variances, axes = torch.linalg.eigh(COV)
    alpha, sigma = scheduler.sqrt_alphas_cumprod, scheduler.sqrt_one_minus_alphas_cumprod
    width = [(alpha[t] ** 2 * variances + sigma[t] ** 2).sqrt() for t in (start, end)]
    along = (x - alpha[start] * MEAN) @ axes
    return alpha[end] * MEAN + (along * width[1] / width[0]) @ axes.T


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize(("sampler", "order"), [(ddim, 1), (dpm_solver, 2)])
def test_order_of_convergence(schedule, sampler, order):
    """Twice the steps, half the error for DDIM and a quarter for DPM-Solver++(2M)."""
    scheduler = NoiseScheduler(4000, schedule).double()
    ideal, x = IdealForGaussian(scheduler, MEAN, COV), noise(50, 2, dtype=torch.float64)
    errors = []
    for num_steps in (20, 40, 80, 160):
        step = last(sampler(ideal, x, scheduler, timesteps(scheduler, num_steps, "log_snr")))
        errors.append((step.x_t - exact_flow(scheduler, x, 3999, step.t)).norm().item())
    observed = [torch.tensor(a / b).log2().item() for a, b in pairwise(errors)]
    assert all(abs(o - order) < 0.25 for o in observed), (observed, errors)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize(("sampler", "num_steps"), [("ddpm", None), ("ddim", 200), ("dpm_solver", 20)])
def test_samples_of_a_gaussian_have_its_mean_and_covariance(schedule, sampler, num_steps):
    scheduler = NoiseScheduler(300, schedule)
    run, visited = plan(scheduler, sampler, num_steps, "log_snr")
    x = last(run(IdealForGaussian(scheduler, MEAN, COV), noise(20_000, 2), scheduler, visited, seeded(1))).pred_x0
    torch.testing.assert_close(x.mean(0), MEAN.float(), rtol=0, atol=0.03)  # four standard errors of 20,000
    torch.testing.assert_close(x.T.cov(), COV.float(), rtol=0, atol=0.06)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_ends_on_clips_and_on_all_alike(sampler):
    scheduler, clips = NoiseScheduler(100, "cosine"), noise(3, 4, 6, seed=2)
    run, visited = plan(scheduler, sampler)
    x = last(run(IdealForClips(scheduler, clips), noise(600, 4, 6), scheduler, visited, seeded(1))).pred_x0
    distance, nearest = (x[:, None] - clips).flatten(2).norm(dim=-1).min(1)
    assert distance.max() < 1e-3
    assert all(150 < n < 250 for n in Counter(nearest.tolist()).values())  # 200 each; 50 is over four deviations


# spacings ------------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 300), st.data(), st.sampled_from(SCHEDULES), st.sampled_from(SPACINGS))
def test_timesteps_fall_from_the_noise_and_never_repeat(num_timesteps, data, schedule, spacing):
    num_steps = data.draw(st.integers(1, num_timesteps))
    visited = timesteps(NoiseScheduler(num_timesteps, schedule), num_steps, spacing)
    assert len(visited) == num_steps and visited[0] == num_timesteps - 1 and visited[-1] >= 0
    assert all(a > b for a, b in pairwise(visited))
    assert spacing == "trailing" or num_steps == 1 or visited[-1] == 0


def test_trailing_is_even_in_t():
    assert timesteps(NoiseScheduler(1000), 4, "trailing") == [999, 749, 499, 249]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_log_snr_is_even_in_the_noise(schedule):
    scheduler = NoiseScheduler(1000, schedule)
    log_snr, alphas_cumprod = half_log_snr(scheduler), scheduler.alphas_cumprod
    torch.testing.assert_close(log_snr, 0.5 * (alphas_cumprod / (1 - alphas_cumprod)).log(), rtol=1e-2, atol=1e-2)
    visited = timesteps(scheduler, 10, "log_snr")
    steps = log_snr[visited].diff()[1:]  # cosine's first two timesteps lie 3.5 apart
    assert visited[0] == 999 and (steps / steps.mean() - 1).abs().max() < 0.15


def test_no_step_is_wasted_where_neighbours_are_far_apart():
    """Cosine, T = 50: from 49 to 48 λ rises by a third of its whole range; the rest is shared out evenly."""
    scheduler = NoiseScheduler(50, "cosine")
    steps = half_log_snr(scheduler)[timesteps(scheduler, 10, "log_snr")].diff()
    assert steps[0] > 3 and steps[1:].min() > 0.6 and steps[1:].max() < 1.1


def test_plan_keeps_to_the_models_steps():
    scheduler = NoiseScheduler(10)
    assert plan(scheduler) == (SAMPLERS[DEFAULT_SAMPLER], list(range(9, -1, -1)))
    assert plan(scheduler, "ddpm") == (ddpm, list(range(9, -1, -1)))
    assert len(plan(NoiseScheduler(100), "ddim")[1]) == DEFAULT_STEPS


# guidance ------------------------------------------------------------------------------------------------------------


class Counted:
    """A model that counts its calls' batch sizes."""

    def __init__(self, model):
        self.model, self.condition, self.sizes = model, model.condition, []

    def __call__(self, x_t, t, action, mask=None):
        self.sizes.append(len(x_t))
        return self.model(x_t, t, action, mask)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Counted(build(replace(PRESETS["tiny"], num_layers=2), ActionVocabulary(NAMES))[1].eval())


X, T, ACTION, NULL = noise(2, 7, 66), torch.tensor([9, 9]), torch.tensor([0, 2]), torch.tensor([3, 3])
MASK = torch.tensor([[True] * 7, [True] * 5 + [False] * 2])


@torch.no_grad()
def test_scale_1_is_plain_and_costs_no_doubled_batch(model):
    assert torch.equal(guided(model, ACTION, 1.0)(X, T), model.model(X, T, ACTION))
    assert model.sizes == [2]


@torch.no_grad()
@pytest.mark.parametrize("mask", [None, MASK])
@pytest.mark.parametrize("scale", [0.0, 0.5, 2.5])
def test_the_doubled_batch_is_two_calls(model, scale, mask):
    cond, uncond = model.model(X, T, ACTION, mask), model.model(X, T, NULL, mask)
    assert (cond - uncond).abs().max() > 0.01
    ours = guided(model, ACTION, scale, mask=mask)(X, T)
    torch.testing.assert_close(ours, uncond + scale * (cond - uncond), rtol=1e-4, atol=1e-5)
    assert model.sizes == [4]
    if scale == 0:
        torch.testing.assert_close(ours, uncond, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_guidance_is_linear_in_the_scale(model):
    zero, one, three = (guided(model, ACTION, scale)(X, T) for scale in (0.0, 1.0, 3.0))
    torch.testing.assert_close(three - zero, 3 * (one - zero), rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_outside_its_interval_guidance_rests(model):
    plain, strong = guided(model, ACTION), guided(model, ACTION, 2.0)
    limited = guided(model, ACTION, 2.0, interval=(5, 9))
    for t, like in ((4, plain), (5, strong), (9, strong), (10, plain)):
        times = torch.full((2,), t)
        assert torch.equal(limited(X, times), like(X, times))
    assert model.sizes[::2] == [2, 4, 4, 2]


def test_guidance_with_exact_answers_makes_the_action(model):
    """Two clips an action: whatever the scale from 1 on, a sample ends near a clip of its action."""
    scheduler, clips, labels = NoiseScheduler(100, "cosine"), noise(4, 4, 6, seed=2), torch.tensor([0, 0, 1, 1])
    action = torch.tensor([0, 1]).repeat(20)
    for scale in (1.0, 2.0):
        predict = guided(IdealForClips(scheduler, clips, labels), action, scale)
        run, visited = plan(scheduler)
        x = last(run(predict, noise(40, 4, 6), scheduler, visited)).pred_x0
        assert torch.equal(labels[(x[:, None] - clips).flatten(2).norm(dim=-1).argmin(1)], action)


# from a checkpoint ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checkpoint():
    torch.manual_seed(0)
    config = replace(PRESETS["tiny"], num_layers=2, num_timesteps=30, num_frames=20)
    representation, model = build(config, ActionVocabulary(NAMES))
    return Checkpoint(config, ActionVocabulary(NAMES), representation, model.eval(), "untrained")


@pytest.mark.parametrize("options", [{}, {"sampler": "ddpm"}, {"sampler": "ddpm", "num_steps": 7},
                                     {"sampler": "ddim", "eta": 0.5}, {"guidance_scale": 2.0}])  # fmt: skip
def test_a_seed_names_the_motions(checkpoint, options):
    one = generate(checkpoint, ["walk", 2], 2, seed=5, **options)
    torch.manual_seed(99)  # the global generator has no say
    assert one.shape == (4, 20, 22, 3) and torch.equal(one, generate(checkpoint, ["walk", 2], 2, seed=5, **options))
    assert not torch.equal(one, generate(checkpoint, ["walk", 2], 2, seed=6, **options))


def test_steps_are_yielded_as_planned_and_end_in_the_motion(checkpoint):
    for options in ({}, {"num_steps": 4}, {"sampler": "ddim", "num_steps": 4}, {"spacing": "trailing"}):
        steps = list(sample(checkpoint, "walk", **options))
        assert [step.t for step in steps] == plan(checkpoint.scheduler, **options)[1]
        torch.testing.assert_close(finish(checkpoint, steps[-1].pred_x0), generate(checkpoint, "walk", **options))


def test_guidance_scale_is_the_checkpoints_unless_told(checkpoint):
    strong = replace(checkpoint, guidance_scale=2.5)
    expected = generate(checkpoint, "walk", guidance_scale=2.5)
    assert torch.equal(generate(strong, "walk"), expected)
    assert not torch.equal(generate(strong, "walk", guidance_scale=1), expected)
    never = generate(checkpoint, "walk", guidance_scale=2.5, guidance_interval=(100, 200))
    assert torch.equal(never, generate(checkpoint, "walk"))


@pytest.mark.parametrize("options", [{}, {"guidance_scale": 2.0}])
def test_frames_past_a_length_are_hidden(checkpoint, options):
    """A motion of 12 frames is the same with 8 frames of padding behind it, and then holds its last pose."""
    whole, cut = generate(checkpoint, "walk", 2, lengths=[20, 12], num_frames=20, seed=3, **options)
    assert torch.equal(cut[12:], cut[11:12].expand(8, -1, -1)) and not torch.equal(whole[19], whole[18])
    assert not torch.allclose(cut[:12], generate(checkpoint, "walk", 2, num_frames=20, seed=3, **options)[1, :12])
    x = noise(2, 20, 66, seed=3)[1:, :12]  # what the seed gave the second motion
    predict = guided(checkpoint.model, torch.tensor([0]), options.get("guidance_scale", 1.0))
    run, visited = plan(checkpoint.scheduler)
    with torch.no_grad():
        alone = last(run(predict, x, checkpoint.scheduler, visited)).pred_x0
    torch.testing.assert_close(cut[:12], finish(checkpoint, alone)[0], rtol=1e-3, atol=1e-4)


def test_lengths_may_be_a_tensor_and_set_the_number_of_frames(checkpoint):
    lengths = torch.tensor([9, 14])
    one = generate(checkpoint, ["walk", "sit"], lengths=lengths)
    assert one.shape == (2, 14, 22, 3) and torch.equal(one, generate(checkpoint, ["walk", "sit"], lengths=[9, 14]))


def test_bones_of_a_finished_motion_have_their_mean_length(checkpoint):
    features = 0.3 * noise(2, 20, 66, seed=4)
    rough, lengths = checkpoint.representation.decode(features), [20, 12]
    motions = finish(checkpoint, features, lengths)
    for motion, raw, length in zip(motions, rough, lengths, strict=True):
        expected = bone_lengths(raw[:length]).mean(0)
        torch.testing.assert_close(bone_lengths(motion), expected.expand(20, -1))
        torch.testing.assert_close(motion[:length, 0], raw[:length, 0])  # the pelvis stays
        assert torch.equal(motion[length:], motion[length - 1 :][:1].expand(20 - length, -1, -1))
    whole = torch.ones(2, 20, dtype=torch.bool)
    torch.testing.assert_close(hold_bone_lengths(motions, whole), motions, rtol=1e-4, atol=1e-5)  # it stays as it is


def test_hold_last_pose():
    motions = torch.arange(10.0).reshape(2, 5, 1, 1)
    assert hold_last_pose(motions, torch.tensor([3, 5])).flatten(1).tolist() == [[0, 1, 2, 2, 2], [5, 6, 7, 8, 9]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampler": "dpmsolver"}, "unknown sampler 'dpmsolver'; did you mean 'dpm_solver'? There are: ddpm, ddim"),
        ({"sampler": "zzz"}, "unknown sampler 'zzz'; There are"),
        ({"spacing": "log-snr"}, "did you mean 'log_snr'"),
        ({"num_steps": 0}, "choose 1 to 30"),
        ({"num_steps": 31}, "steps is 31"),
        ({"sampler": "ddim", "eta": 1.5}, "eta is 1.5"),
        ({"eta": 0.5}, "only ddim has an eta"),
        ({"num_samples": 0}, "num_samples is 0"),
        ({"num_frames": 1}, "frames is 1"),
        ({"num_frames": 5000}, "choose 2 to 4998"),
        ({"timesteps": [3, 9]}, "timesteps are [3, 9]; give different ones of 0 to 29, falling"),
        ({"timesteps": []}, "timesteps are []"),
        ({"timesteps": [30, 2]}, "of 0 to 29"),
        ({"precision": "fp16"}, "unknown precision 'fp16'"),
        ({"sampelr": "ddim"}, "unknown option 'sampelr'; did you mean 'sampler'?"),
        ({"guidance_scale": -1.0}, "guidance_scale is -1;"),
        ({"guidance_scale": float("nan")}, "guidance_scale is nan"),
        ({"guidance_scale": 2.0, "guidance_interval": (9, 3)}, "the lower first"),
        ({"lengths": [10, 10]}, "2 lengths for 1 motions"),
        ({"lengths": []}, "0 lengths for 1 motions"),
        ({"lengths": [1], "num_frames": 20}, "lengths is 1; give a whole number, 2 or more"),
        ({"lengths": [21], "num_frames": 20}, "lengths go up to 21; choose 2 to 20"),
        ({"action": []}, "list of what to do is empty"),
        ({"action": "wakl"}, "did you mean 'walk'"),
    ],
)
def test_bad_requests(checkpoint, options, message):
    with pytest.raises(InputError) as error:
        generate(checkpoint, options.pop("action", "walk"), **options)
    assert message in str(error.value)


def test_a_model_without_dropped_actions_cannot_be_guided(checkpoint):
    never = replace(checkpoint, config=replace(checkpoint.config, cond_mask_prob=0.0))
    assert generate(never, "walk").isfinite().all()
    with pytest.raises(InputError, match="never saw a dropped condition"):
        generate(never, "walk", guidance_scale=2.0)


def test_bfloat16_is_near_float32(checkpoint):
    exact, rough = (generate(checkpoint, "walk", precision=precision) for precision in ("fp32", "bf16"))
    assert rough.dtype == torch.float32 and not torch.equal(exact, rough)
    assert (exact - rough).norm() / exact.norm() < 0.05


def test_the_last_step_is_in_float32(checkpoint):
    """From the same x_t, a bfloat16 run and a float32 run must give the same answer."""
    *_, last = sample(checkpoint, "walk", num_steps=4, precision="bf16")
    times, action = torch.tensor([last.t]), torch.tensor([checkpoint.action_id("walk")])
    with torch.no_grad():
        assert torch.equal(last.pred_x0, checkpoint.model(last.x_t, times, action))


# the record -----------------------------------------------------------------------------------------------------------


def test_a_record_and_its_fields_by_name_say_the_same(checkpoint):
    asked = Sampling("ddim", num_steps=4, eta=0.5, guidance_scale=2.0, seed=3)
    by_name = {"sampler": "ddim", "num_steps": 4, "eta": 0.5, "guidance_scale": 2.0, "seed": 3}
    expected = generate(checkpoint, "walk", 2, **by_name)
    assert torch.equal(generate(checkpoint, "walk", 2, asked), expected)
    assert torch.equal(generate(checkpoint, "walk", 2, asked.planned(checkpoint)), expected)
    assert torch.equal(generate(checkpoint, "walk", 2, replace(asked, seed=0), seed=3), expected)
    with pytest.raises(FrozenInstanceError):
        asked.seed = 1


def test_what_to_do_may_be_said_by_its_keyword(checkpoint):
    assert torch.equal(generate(checkpoint, action="walk", seed=3), generate(checkpoint, "walk", seed=3))
    with pytest.raises(InputError, match="say what to do, as in sample"):
        generate(checkpoint, seed=3)


def test_a_plan_leaves_nothing_open_and_is_its_own_plan(checkpoint):
    planned = Sampling(num_steps=4).planned(checkpoint)
    assert planned.timesteps == tuple(plan(checkpoint.scheduler, num_steps=4)[1]) and planned.num_steps == 4
    assert planned.guidance_scale == checkpoint.guidance_scale and planned.num_frames == checkpoint.config.num_frames
    assert planned.planned(checkpoint) == planned


@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "dpm_solver"])
def test_ones_own_timesteps_are_visited(checkpoint, sampler):
    steps = list(sample(checkpoint, "walk", sampler=sampler, timesteps=[29, 12, 3]))
    assert [step.t for step in steps] == [29, 12, 3]


def test_the_steps_are_chosen_once_a_sample(checkpoint, monkeypatch, tmp_path):
    """From Python, and by the command line, which shows a bar and writes them into a file."""
    import mdm_lib.sampling

    calls = []
    monkeypatch.setattr(mdm_lib.sampling, "plan", lambda *options: calls.append(options) or plan(*options))
    generate(checkpoint, "walk", num_steps=2)
    assert len(calls) == 1
    path = checkpoint.save(tmp_path / "m.pth")
    arguments = ["sample", "--checkpoint", path, "--action", "walk", "--steps", 2, "--output-path", tmp_path / "m.npy"]
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0 and len(calls) == 2


def test_longer_than_trained_is_warned_of(checkpoint, tmp_path):
    with pytest.warns(UserWarning, match="124 frames are more than the 120 .* Ask for at most 120 .6 s."):
        generate(checkpoint, "walk", num_frames=124, num_steps=1)
    path = checkpoint.save(tmp_path / "m.pth")
    arguments = ["sample", "--checkpoint", path, "--action", "walk", "--steps", 1, "--output-path", tmp_path / "m.npy"]
    long = CliRunner().invoke(main, [str(argument) for argument in [*arguments, "--frames", 124]])
    assert long.exit_code == 0 and long.stderr.count("warning: 124 frames are more than the 120") == 1
    assert "warning" not in CliRunner().invoke(main, [str(argument) for argument in arguments]).stderr
