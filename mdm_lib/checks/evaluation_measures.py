"""Checks of the exercises on evaluation."""

import torch
from torch import Tensor

from mdm_lib.checks.tutor import check, expect, expect_close, refuse
from mdm_lib.evaluation import measures


def _draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# ---------------------------------------------------------------- independent numbers


@check
def independent_distance(answer) -> str:
    """``answer(a [N, D], b [M, D])`` → the squared Fréchet distance of Gaussians with diagonal covariances."""
    a = 40 + 8 * torch.tensor([[-1.0], [0.0], [1.0]])  # deviation 8
    b = 46 + 5 * torch.tensor([[-1.0], [0.0], [1.0]])
    expect_close(_number(answer(a, a)), 0.0, "the distance of a set to itself should be 0", tolerance=1e-3)
    _refuse_mistakes(answer(a, b), a, b)
    by_hand = "for means 40 and 46 and standard deviations 8 and 5 it should be 36 + 9 = 45"
    expect_close(_number(answer(a, b)), 45.0, by_hand, tolerance=0.01)
    scales, places = torch.tensor([1.0, 3.0, 0.5, 2.0]), torch.tensor([0.0, 1.0, -2.0, 5.0])
    a, b = _draw(50, 4), places + scales * _draw(80, 4, seed=1)
    got = answer(a, b)
    _refuse_mistakes(got, a, b)
    expect_close(_number(got), _independent(a, b).sum(), "wrong for 50 and 80 vectors of 4 numbers", tolerance=0.3)
    return "36 + 9 = 45, and the dimensions add up"


def _independent(a: Tensor, b: Tensor) -> Tensor:
    return (a.mean(0) - b.mean(0)).square() + (a.std(0) - b.std(0)).square()


def _number(got):
    """``got``; a tensor with one element becomes a scalar."""
    return got.reshape(()) if isinstance(got, Tensor) and got.numel() == 1 else got


def _refuse_mistakes(got, a: Tensor, b: Tensor) -> None:
    each, means = _independent(a, b), (a.mean(0) - b.mean(0)).square()
    if len(each) > 1:
        refuse(got, each, "these are the distances of the single dimensions; add them up")
        refuse(got, each.mean(), "this is the mean over the dimensions; the distance is their sum")
        overall = (a.mean() - b.mean()) ** 2 + (a.std() - b.std()) ** 2
        refuse(got, overall, "all numbers are pooled; take mean and deviation over the motions only, dim 0")
    got = _number(got)
    refuse(got, means.sum(), "the deviations are not compared: two sets with one mean can differ in spread")
    refuse(got, each.sum() - means.sum(), "the means are not compared")
    variances = (a.var(0) - b.var(0)).square()
    refuse(got, (means + variances).sum(), "these are variances; the formula subtracts their roots, the deviations")
    refuse(
        got, (means + (a.var(0) - b.var(0)).abs()).sum(),
        "the difference of the σ² is not the square of the difference of the σ; subtract first, then square",
    )  # fmt: skip
    refuse(got, each.sum().sqrt(), "this is the distance; FID is its square, so omit the root")


# ---------------------------------------------------------------- bone drift


@check
def bone_drift(answer) -> str:
    """``answer(bones [N, F, 21], lengths [N])`` → mean over bones of deviation / mean length, percent, ``[N]``."""
    rest = torch.linspace(0.1, 0.5, 21)
    stiff = rest.expand(2, 6, 21)
    full = torch.tensor([6, 6])
    expect_close(answer(stiff.clone(), full), torch.zeros(2), "bones that keep their length do not drift", 1e-3)
    swing = torch.tensor([1.0, -1.0]).repeat(3)[None, :, None]  # [1, 6, 1]
    rubber = rest * (1 + 0.1 * swing * torch.linspace(0.2, 1, 21))  # long bones drift more, also in percent
    rubber = torch.cat([rubber, stiff[:1]])
    _expect_drift(answer, rubber, full, "the first motion's bones vary by 2 to 10 %, the second's do not")
    short = torch.cat([rubber, rubber[:1]])
    short[2, 4:] = 0.0
    _expect_drift(answer, short, torch.tensor([6, 6, 4]), "the third motion ends after 4 frames, the rest is padding")
    return "constant bones, varying bones, and no padding"


def _expect_drift(answer, bones: Tensor, lengths: Tensor, story: str) -> None:
    got = answer(bones.clone(), lengths.clone())
    deviation = torch.stack([b[:n].std(0, correction=0) for b, n in zip(bones, lengths, strict=True)])
    sample = torch.stack([b[:n].std(0) for b, n in zip(bones, lengths, strict=True)])
    mean = torch.stack([b[:n].mean(0) for b, n in zip(bones, lengths, strict=True)])
    right = 100 * (deviation / mean).mean(1)
    everything = 100 * (bones.std(1, correction=0) / bones.mean(1)).mean(1)
    if lengths.min() < bones.shape[1]:
        refuse(got, everything, "padding is counted as bones of length 0; use only the first lengths[n] frames")
        refuse(
            got, 100 * (bones.std(1) / bones.mean(1)).mean(1),
            "padding is counted as bones of length 0; use only the first lengths[n] frames",
        )  # fmt: skip
    mistakes = [
        (right / 100, "this is a fraction; the exercise asks for percent"),
        (100 * (sample / mean).mean(1), "divide by the number of frames, not by that minus 1: std(…, correction=0)"),
        (100 * deviation.mean(1), "these are centimetres; divide each bone's deviation by its mean length"),
        (deviation.mean(1), "these are metres; divide each bone's deviation by its mean length, and give percent"),
        (
            100 * deviation.mean(1) / mean.mean(1),
            "divide each bone by its own mean before you average; otherwise long bones count for more",
        ),
        (100 * (deviation**2 / mean).mean(1), "this is the variance over the mean; the deviation is its square root"),
        (100 * (deviation / mean).amax(1), "this is the worst bone; the exercise asks for the mean over the bones"),
        (100 * deviation / mean, "there is a value for each bone; give one per motion, the mean over its bones"),
        (right.mean(), "this is also the mean over motions; give one number per motion"),
    ]
    for wrong, complaint in mistakes:
        refuse(got, wrong, complaint)
    expect_close(got, right, f"{story}; it should be {', '.join(f'{x:.2f}' for x in right)} %", tolerance=1e-3)


# ---------------------------------------------------------------- an impostor


@check
def impostor(answer) -> str:
    """``answer(features [N, D])`` → ``[N, D]`` of at most 2·D different rows, with the same mean and covariance."""
    for size, dims in ((40, 2), (240, 6)):
        mixing = torch.eye(dims) + 0.5 * _draw(dims, dims, seed=1)
        features = 3 + _draw(size, dims) @ mixing
        got = answer(features.clone())
        expect(isinstance(got, Tensor), f"it should give a tensor, it gives a {type(got).__name__}")
        shape = list(got.shape)
        expect(shape == [size, dims], f"the shape should be that of the features, {[size, dims]}; it is {shape}")
        expect(got.isfinite().all(), "there are NaN or infinite numbers in it; is it the root of a negative number?")
        different = len(got.double().mul(1e4).round().unique(dim=0))
        expect(
            different <= 2 * dims,
            f"{different} of its rows are different, but at most {2 * dims} may be; did you return real features?",
        )
        crude = measures.frechet_distance(features.mean(0).expand(size, dims), features)
        _explain(got, features, crude)
        fid = measures.frechet_distance(got, features)
        expect(
            fid < crude / 100,
            f"with {dims} features per motion its FID is {fid:.3g}; it should be below {crude / 100:.2g}",
        )
    return "a dozen vectors instead of hundreds, and FID is almost 0"


def _explain(got: Tensor, features: Tensor, crude: float) -> None:
    """Explain an impostor's wrong mean or covariance, in the common cases."""
    off = float((got.mean(0) - features.mean(0)).norm())
    expect(
        off**2 < crude / 100,
        f"its mean is off by {off:.2g}; put as many points on one side of the mean as on the other",
    )
    expect(got.var(0).sum() > 1e-6 * features.var(0).sum(), "it is only the mean: it does not vary at all")
    covariance = torch.cov(features.T)
    ours, real, squared = (x.reshape(-1) for x in (torch.cov(got.T), covariance, covariance @ covariance))
    expect(
        torch.cosine_similarity(ours, squared, dim=0) < 0.9999,
        "the directions are right, but the points are as far out as the variance; use its root, the deviation",
    )
    ratio = float((ours * real).sum() / real.square().sum())
    is_scaled = bool((ours - ratio * real).norm() < 0.05 * (ratio * real).norm())
    dims = features.shape[1]
    expect(
        not is_scaled or abs(ratio - 1 / dims) > 0.02,
        f"its covariance has the right form, but 1/{dims} of the size: only 1/{dims} of the points lie on each "
        f"direction, so they must be √{dims} times as far out",
    )
    expect(
        not is_scaled or abs(ratio - 1) < 0.1,
        f"its covariance has the right form, but {ratio:.2g} times the size",
    )
    own = torch.diag(torch.cov(got.T)) / torch.diag(torch.cov(features.T))
    expect(
        is_scaled or bool((own - 1).abs().max() > 0.1),
        "each feature has the right variance, but their correlations are wrong; go along the eigenvectors of "
        "the covariance, the columns of eigh's result",
    )
