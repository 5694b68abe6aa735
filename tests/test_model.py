import pytest
import torch
from torch import nn

from mdm_lib import MDM, Config, InputError, PositionalEncoding
from mdm_lib.model import Block


def torch_layer_like(block: Block, latent_dim: int, ff_size: int) -> nn.TransformerEncoderLayer:
    """PyTorch's own pre-norm encoder layer with the weights of ``block``."""
    layer = nn.TransformerEncoderLayer(
        latent_dim, block.num_heads, ff_size, dropout=0.0, activation="gelu", norm_first=True, batch_first=True
    )
    theirs = {
        "self_attn.in_proj_weight": block.qkv.weight, "self_attn.in_proj_bias": block.qkv.bias,
        "self_attn.out_proj.weight": block.out.weight, "self_attn.out_proj.bias": block.out.bias,
        "linear1.weight": block.mlp[0].weight, "linear1.bias": block.mlp[0].bias,
        "linear2.weight": block.mlp[3].weight, "linear2.bias": block.mlp[3].bias,
        "norm1.weight": block.norm1.weight, "norm1.bias": block.norm1.bias,
        "norm2.weight": block.norm2.weight, "norm2.bias": block.norm2.bias,
    }  # fmt: skip
    layer.load_state_dict(theirs)
    return layer


@pytest.mark.parametrize("padded", [False, True])
def test_block_equals_torch(padded):
    torch.manual_seed(0)
    block = Block(32, num_heads=4, ff_size=64, dropout=0.0)
    for parameter in block.parameters():  # norms start at 1 and 0: move them, so that a mix-up shows
        nn.init.normal_(parameter, std=0.3)
    layer = torch_layer_like(block, 32, 64)
    x, real = torch.randn(3, 10, 32), torch.ones(3, 10, dtype=torch.bool)
    if padded:
        real[0, 6:] = real[1, 9:] = False
    ours = block(x, real[:, None, None, :])
    theirs = layer(x, src_key_padding_mask=~real)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_block_gradients_equal_torch():
    torch.manual_seed(0)
    block = Block(16, num_heads=2, ff_size=32, dropout=0.0)
    layer = torch_layer_like(block, 16, 32)
    x = torch.randn(2, 5, 16)
    block(x).square().sum().backward()
    layer(x).square().sum().backward()
    torch.testing.assert_close(block.qkv.weight.grad, layer.self_attn.in_proj_weight.grad, rtol=1e-4, atol=1e-5)


def test_attention_map_is_what_the_fused_attention_uses():
    torch.manual_seed(0)
    block = Block(16, num_heads=2, ff_size=32, dropout=0.0)
    x, real = torch.randn(2, 6, 16), torch.tensor([[True] * 6, [True] * 4 + [False] * 2])[:, None, None, :]
    weights = block.attention_map(x, real)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 2, 6))
    assert (weights[1, :, :, 4:] == 0).all()
    _, _, values = block.heads(x)
    attended = x + block.out((weights @ values).transpose(1, 2).flatten(2))
    torch.testing.assert_close(attended + block.mlp(block.norm2(attended)), block(x, real))


def test_positional_encoding_is_the_sinusoid():
    table = PositionalEncoding(8, dropout=0.0).table
    assert table.shape == (5000, 8)
    place, pair = torch.tensor(7.0), 2
    angle = place / 10000 ** (2 * pair / 8)
    torch.testing.assert_close(table[7, 2 * pair : 2 * pair + 2], torch.stack([angle.sin(), angle.cos()]))


def test_mdm_shapes_sizes_and_defaults():
    model = MDM(num_actions=12, num_joints=22)
    assert len(model.blocks) == 8 and model.blocks[0].num_heads == 4 and model.condition.null_action == 12
    x_t, t, action = torch.randn(2, 60, 66), torch.tensor([0, 999]), torch.tensor([0, 12])
    assert model.tokens(x_t, t, action)[0].shape == (2, 62, 512)
    assert model(x_t, t, action).shape == (2, 60, 66)
    assert MDM(3, 22, latent_dim=16, num_layers=1, num_features=10)(torch.randn(1, 5, 10), t[:1], action[:1]).shape == (
        1, 5, 10,
    )  # fmt: skip


@pytest.mark.parametrize("width, heads", [(50, 4), (33, 3)])
def test_a_width_that_does_not_divide_says_so(width, heads):
    with pytest.raises(InputError, match=f"latent_dim is {width}.*multiple of the {heads} heads"):
        Config(latent_dim=width, num_heads=heads)


def test_padding_cannot_be_seen():
    torch.manual_seed(0)
    model = MDM(3, 22, latent_dim=32, num_layers=2, dropout=0.0)
    x_t, t, action = torch.randn(2, 12, 66), torch.tensor([5, 7]), torch.tensor([1, 3])
    mask = torch.ones(2, 12, dtype=torch.bool)
    mask[:, 8:] = False
    other = x_t.clone()
    other[:, 8:] = 100.0
    torch.testing.assert_close(model(x_t, t, action, mask)[:, :8], model(other, t, action, mask)[:, :8])
    torch.testing.assert_close(model(x_t[:, :8], t, action), model(x_t, t, action, mask)[:, :8], rtol=1e-4, atol=1e-5)


def test_action_and_time_matter():
    torch.manual_seed(0)
    model = MDM(3, 22, latent_dim=32, num_layers=2, dropout=0.0)
    x_t = torch.randn(1, 4, 66)
    base = model(x_t, torch.tensor([5]), torch.tensor([1]))
    assert (base - model(x_t, torch.tensor([6]), torch.tensor([1]))).abs().max() > 1e-4
    assert (base - model(x_t, torch.tensor([5]), torch.tensor([3]))).abs().max() > 1e-4


@pytest.mark.parametrize("kind", [torch.bool, torch.uint8, torch.int64, torch.float32])
def test_a_mask_of_any_type_hides_what_it_hides(kind):
    """Other projects' masks are numbers; as numbers they would be added to the scores."""
    torch.manual_seed(0)
    model = MDM(3, 22, latent_dim=32, num_layers=2, dropout=0.0)
    x_t, t, action = torch.randn(2, 12, 66), torch.tensor([5, 7]), torch.tensor([1, 3])
    mask = torch.arange(12) < torch.tensor([[12], [8]])
    torch.testing.assert_close(model(x_t, t, action, mask.to(kind)), model(x_t, t, action, mask))
    block, x, keys = model.blocks[0], torch.randn(2, 12, 32), mask[:, None, None]
    torch.testing.assert_close(block(x, keys.to(kind)), block(x, keys))
    torch.testing.assert_close(block.attention_map(x, keys.to(kind)), block.attention_map(x, keys))


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("masked", [False, True])
def test_the_model_runs_in_other_precisions(kind, masked):
    torch.manual_seed(0)
    model = MDM(3, 22, latent_dim=32, num_layers=2, dropout=0.0).eval()
    x_t, t, action = torch.randn(2, 12, 66), torch.tensor([5, 7]), torch.tensor([1, 3])
    mask = torch.arange(12) < torch.tensor([[12], [8]]) if masked else None
    expected = model(x_t, t, action, mask)
    got = model.to(kind)(x_t, t, action, mask)
    assert got.dtype == kind
    torch.testing.assert_close(got.float(), expected, atol=0.1, rtol=0.1)
