"""The checks on evaluation: right answers pass, typical wrong ones are told what is wrong."""

import numpy as np
import pytest
import torch

from mdm_lib.checks import evaluation_measures as checks
from mdm_lib.checks.tutor import WrongAnswer


def independent(a, b, spread=torch.std, places=1.0, widths=1.0):
    means = (a.mean(0) - b.mean(0)) ** 2
    return places * means + widths * (spread(a, 0) - spread(b, 0)) ** 2


@pytest.mark.parametrize(
    "answer",
    [
        lambda a, b: independent(a, b).sum(),
        lambda a, b: float(independent(a, b).sum()),
        lambda a, b: independent(a, b).sum().reshape(1),
        lambda a, b: sum(independent(a, b)),
        lambda a, b: (
            independent(a, b, lambda x, dim: x.std(dim, correction=0)).sum() * 45 / 42
            if len(a) == 3
            else independent(a, b, lambda x, dim: x.std(dim, correction=0)).sum()
        ),
        lambda a, b: (
            (a.mean(0) - b.mean(0)).square().sum() + (a.var(0) + b.var(0) - 2 * (a.var(0) * b.var(0)).sqrt()).sum()
        ),
    ],
)
def test_independent_distance_right(answer, capsys):
    checks.independent_distance(answer)
    assert capsys.readouterr().out.startswith("✔ independent_distance")


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (lambda a, b: independent(a, b), "single dimensions; add them up"),
        (lambda a, b: independent(a, b).mean(), "the mean over the dimensions"),
        (lambda a, b: independent(a, b, widths=0).sum(), "the deviations are not compared"),
        (lambda a, b: independent(a, b, places=0).sum(), "the means are not compared"),
        (lambda a, b: independent(a, b, torch.var).sum(), "these are variances"),
        (
            lambda a, b: ((a.mean(0) - b.mean(0)) ** 2 + (a.var(0) - b.var(0)).abs()).sum(),
            "subtract first, then square",
        ),
        (lambda a, b: independent(a, b).sum().sqrt(), "omit the root"),
        (lambda a, b: (a.mean() - b.mean()) ** 2 + (a.std() - b.std()) ** 2, "are pooled"),
        (lambda a, b: 1 + independent(a, b).sum(), "a set to itself should be 0"),
        (lambda a, b: 2 * independent(a, b).sum(), r"36 \+ 9 = 45"),
        (lambda a, b: "45", "it gives a str"),
    ],
)
def test_independent_distance_wrong(answer, complaint):
    with pytest.raises(WrongAnswer, match=complaint):
        checks.independent_distance(answer)


def each_motion(measure):
    """An answer that looks at the real frames of a motion [frames, 21] at a time."""
    return lambda bones, lengths: torch.stack([measure(b[:n]) for b, n in zip(bones, lengths, strict=True)])


def drift(motion):
    return 100 * (motion.std(0, correction=0) / motion.mean(0)).mean()


def drift_by_mask(bones, lengths):
    mask = (torch.arange(bones.shape[1]) < lengths[:, None])[..., None]
    mean = (bones * mask).sum(1) / lengths[:, None]
    variance = ((bones - mean[:, None]).square() * mask).sum(1) / lengths[:, None]
    return 100 * (variance.sqrt() / mean).mean(1)


@pytest.mark.parametrize("answer", [each_motion(drift), drift_by_mask])
def test_bone_drift_right(answer, capsys):
    checks.bone_drift(answer)
    assert capsys.readouterr().out.startswith("✔ bone_drift")


def ignoring_lengths(correction):
    return lambda bones, lengths: 100 * (bones.std(1, correction=correction) / bones.mean(1)).mean(1)


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (ignoring_lengths(0), "padding is counted"),
        (ignoring_lengths(1), "not by that minus 1"),
        (each_motion(lambda m: drift(m) / 100), "this is a fraction"),
        (each_motion(lambda m: 100 * (m.std(0) / m.mean(0)).mean()), "not by that minus 1"),
        (each_motion(lambda m: 100 * m.std(0, correction=0).mean()), "these are centimetres"),
        (each_motion(lambda m: m.std(0, correction=0).mean()), "these are metres"),
        (each_motion(lambda m: 100 * m.std(0, correction=0).mean() / m.mean()), "divide each bone by its own mean"),
        (each_motion(lambda m: 100 * (m.var(0, correction=0) / m.mean(0)).mean()), "this is the variance"),
        (each_motion(lambda m: 100 * (m.std(0, correction=0) / m.mean(0)).amax()), "this is the worst bone"),
        (each_motion(lambda m: 100 * m.std(0, correction=0) / m.mean(0)), "the shape should be"),
        (lambda bones, lengths: each_motion(drift)(bones, lengths).mean(), "the shape should be"),
        (each_motion(lambda m: 2 * drift(m)), "it should be"),
        (lambda bones, lengths: [0.0, 0.0], "it gives a list"),
    ],
)
def test_bone_drift_wrong(answer, complaint):
    with pytest.raises(WrongAnswer, match=complaint):
        checks.bone_drift(answer)


def cross(far=None, root=torch.sqrt, centre=True, sides=(1, -1)):
    """Points on the axes of a covariance, with one thing changed."""

    def impostor(features):
        variances, directions = torch.linalg.eigh(torch.cov(features.T))
        times = len(variances) if far is None else far
        arms = (root(times * variances.clamp(min=0)) * directions).T
        points = (features.mean(0) if centre else 0) + torch.cat([side * arms for side in sides])
        return points.repeat(len(features) // len(points), 1)

    return impostor


def by_cholesky(features):
    """Any root of the covariance will do, not only the symmetric one's directions."""
    D = features.shape[1]
    arms = D**0.5 * torch.linalg.cholesky(torch.cov(features.T)).T
    return (features.mean(0) + torch.cat([arms, -arms])).repeat_interleave(len(features) // (2 * D), 0)


@pytest.mark.parametrize("answer", [cross(), by_cholesky, lambda f: cross()(f.double()).float()])
def test_impostor_right(answer, capsys):
    checks.impostor(answer)
    assert capsys.readouterr().out.startswith("✔ impostor")


def along_the_numbers(features):
    D = features.shape[1]
    arms = D**0.5 * torch.diag(features.std(0))
    return (features.mean(0) + torch.cat([arms, -arms])).repeat(len(features) // (2 * D), 1)


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (lambda f: f, "did you return real features"),
        (lambda f: f.mean(0).expand_as(f), "it does not vary at all"),
        (cross(far=1), "√2 times as far out"),
        (cross(root=lambda x: x), "as far out as the variance"),
        (cross(far=9), "4.* times the size"),
        (cross(centre=False), "its mean is off"),
        (cross(sides=(1, 1)), "its mean is off"),
        (along_the_numbers, "their correlations are wrong"),
        (lambda f: cross()(f)[:2], "the shape should be that of the features"),
        (lambda f: cross()(f) * torch.nan, "NaN"),
        (lambda f: np.zeros(3), "it gives a ndarray"),
    ],
)
def test_impostor_wrong(answer, complaint):
    with pytest.raises(WrongAnswer, match=complaint):
        checks.impostor(answer)


@pytest.mark.parametrize("check", [checks.independent_distance, checks.bone_drift, checks.impostor])
def test_stubs_are_still_to_do(check, capsys):
    check(lambda *arguments: ...)
    assert "still to do" in capsys.readouterr().out
