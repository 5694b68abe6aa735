"""The losses by hand, and the learning rate."""

import pytest
import torch

from mdm_lib.config import Config
from mdm_lib.training.objective import TimestepLossAverage, learning_rate, masked_mse, training_loss


def test_loss_by_hand():
    x0, pred = torch.zeros(1, 3, 1), torch.tensor([[[1.0], [3.0], [100.0]]])
    mask = torch.tensor([[True, True, False]])
    loss, mse, vel = training_loss(pred, x0, mask, vel_weight=10.0)
    assert (mse.item(), vel.item(), loss.item()) == (5.0, 4.0, 45.0)


def test_short_clips_count_as_much_as_long_ones():
    x0, mask = torch.zeros(2, 4, 1), torch.tensor([[True] * 4, [True, False, False, False]])
    pred = torch.tensor([1.0, 3.0])[:, None, None].expand(2, 4, 1)
    assert masked_mse(pred, x0, mask).tolist() == [1.0, 9.0]


def test_padding_carries_no_loss():
    x0, mask = torch.randn(4, 10, 6), torch.ones(4, 10, dtype=torch.bool)
    mask[:, 7:] = False
    pred = x0.clone()
    pred[:, 7:] += 5
    assert all((part == 0).all() for part in training_loss(pred, x0, mask, 10.0))


def test_the_average_is_that_of_each_timesteps_recent_losses():
    usual = TimestepLossAverage(3)
    usual.update(torch.tensor([0, 0, 2]), torch.tensor([4.0, 8.0, 5.0]))
    usual.update(torch.tensor([0]), torch.tensor([9.0]))
    assert usual.mean.tolist() == [7.0, 1.0, 5.0] and usual.seen.tolist() == [3, 0, 1]
    for _ in range(500):  # what is long ago is forgotten
        usual.update(torch.tensor([0, 2]), torch.tensor([0.5, 2.0]))
    torch.testing.assert_close(usual.mean, torch.tensor([0.5, 1.0, 2.0]), atol=1e-3, rtol=0)
    usual.update(torch.zeros(500, dtype=torch.long), torch.full((500,), 3.0))  # more at once than are remembered
    assert usual.mean[0].item() == pytest.approx(3.0)


def test_learning_rate_warms_up_and_decays():
    config = Config(lr=1e-3, final_lr=1e-5, warmup_steps=10)
    rates = [learning_rate(step, 1000, config) for step in range(1000)]
    assert rates[0] == pytest.approx(1e-4) and max(rates) > 0.99e-3 and rates[-1] == pytest.approx(1e-5, rel=0.01)
    assert rates[10:] == sorted(rates[10:], reverse=True)


@pytest.mark.parametrize("kind", [torch.int64, torch.float32])
def test_a_mask_of_numbers_is_a_mask(kind):
    x0, pred, mask = torch.randn(2, 6, 3), torch.randn(2, 6, 3), torch.arange(6) < torch.tensor([[6], [4]])
    for got, expected in zip(
        training_loss(pred, x0, mask.to(kind), 2.0), training_loss(pred, x0, mask, 2.0), strict=True
    ):
        torch.testing.assert_close(got, expected)
