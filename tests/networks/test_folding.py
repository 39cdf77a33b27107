"""Networks with folded BatchNorms against the plain ones."""

import pytest
import torch

from networks.folding import fold_batch_norms
from tiny_networks import LENGTHS, NORM, network, signal


@pytest.mark.parametrize("kind", ["1d", "2d"])
@pytest.mark.parametrize("scale_sign", [1.0, -1.0])
@torch.inference_mode()
def test_folded_batch_norms_give_the_same_scores(kind, scale_sign):
    model = network(kind, scale_sign=scale_sign)
    expected = model(signal(), LENGTHS)
    before = sum(isinstance(m, NORM) for m in model.modules())
    fold_batch_norms(model)
    after = sum(isinstance(m, NORM) for m in model.modules())
    # Of 5 a block: 4 where all scales are positive, else the one behind the pooling stays, too.
    assert before - after == 3 * (4 if scale_sign > 0 else 3)
    torch.testing.assert_close(model(signal(), LENGTHS), expected, rtol=1e-4, atol=1e-4)


def test_a_training_network_is_not_folded():
    with pytest.raises(ValueError, match="in evaluation"):
        fold_batch_norms(network().train())
