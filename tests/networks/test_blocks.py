"""PReLU of few passes against torch's own, forward and backward."""

import pytest
import torch
from torch import nn

from networks.blocks import PReLU


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("shape", [(3, 4, 5, 7), (3, 4, 9), (5, 4)])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_prelu_is_torchs_own(dtype, shape, memory_format):
    if memory_format is torch.channels_last and len(shape) != 4:
        pytest.skip("maps of two axes alone have channels last")
    torch.manual_seed(0)
    x = torch.randn(shape, dtype=dtype)
    x.view(-1)[::5] = 0
    slopes, gradient = torch.tensor([0.25, -0.5, 0.0, 1.5], dtype=dtype), torch.randn(shape).to(dtype)
    results = []
    for kind in (nn.PReLU, PReLU):
        layer = kind(4).to(dtype)
        layer.weight.data = slopes.clone()
        given = x.clone(memory_format=memory_format).requires_grad_()
        result = layer(given)
        result.backward(gradient)
        results.append((result, given.grad, layer.weight.grad))
    (expected, of_x, of_weight), (found, found_of_x, found_of_weight) = results
    assert torch.equal(found, expected) and torch.equal(found_of_x, of_x)
    assert found.stride() == expected.stride()
    torch.testing.assert_close(found_of_weight, of_weight)


def test_the_gradients_are_those_of_finite_differences():
    torch.manual_seed(0)
    layer = PReLU(2).double()
    x = torch.randn(3, 2, 4, dtype=torch.float64, requires_grad=True)

    def function(given, weight):
        return torch.func.functional_call(layer, {"weight": weight}, (given,))

    assert torch.autograd.gradcheck(function, (x, torch.tensor([0.3, -0.2]).double().requires_grad_()))


def test_what_is_not_a_number_stays_visible():
    assert PReLU(1)(torch.tensor([[float("nan")], [float("inf")]])).isfinite().sum() == 0
