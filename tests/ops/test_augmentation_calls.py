"""How many operators a batch's augmentation calls: a GPU waits for each to be launched."""

import numpy as np
import pytest
from torch.utils._python_dispatch import TorchDispatchMode

from drawn_batches import sample
from ops.batch_augmentation import carry_out
from ops.batching import collate_draws
from ops.sampling import SAMPLE_RATE
from ops.transforms import Augmentation

MIXED = Augmentation(p_mixup=1, p_aug=1, effects="torch")
EVERYTHING = Augmentation(p_mixup=1, p_aug=1, effects="torch", p_shuffle=1, p_silence=1)


class Calls(TorchDispatchMode):
    """Counts the calls that compute or copy, not those that only view a tensor another way."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        infos = [returned.alias_info for returned in function._schema.returns]
        self.count += not any(info is not None and not info.is_write for info in infos)
        return function(*args, **(kwargs or {}))


def calls(augmentation: Augmentation, lengths: list[int]) -> int:
    """Of carry_out on clips of these lengths and a partner half as long; caches are filled before."""
    given = [sample(n, k, k % 4) for k, n in enumerate(lengths)]
    partner = sample(max(lengths) // 2, 9)
    drawn = [
        augmentation.draw(one, np.random.default_rng(k), lambda _: partner) for k, one in enumerate(given)
    ]
    batch = collate_draws(list(enumerate(drawn)))
    arguments = [batch[name] for name in ("segments", "sizes", "partner_sizes", "draws")]
    carry_out(*arguments)
    with Calls() as counted:
        carry_out(*arguments)
    return counted.count


@pytest.mark.parametrize("shorter", [0, 1000])
@pytest.mark.parametrize("augmentation", [MIXED, EVERYTHING])
def test_mixing_and_effects_of_four_clips_of_5_s_take_a_hundred_calls(augmentation, shorter):
    """681 to 699 when rows, splices, taps and doublings were loops."""
    assert calls(augmentation, [5 * SAMPLE_RATE - k * shorter for k in range(4)]) <= 103


def test_calls_do_not_grow_with_rows():
    lengths = [20_000 - 100 * k for k in range(12)]
    assert calls(EVERYTHING, lengths[:2]) == calls(EVERYTHING, lengths)


def test_twice_the_samples_take_one_call_more():
    """The splices' choices are followed by doubling."""
    once, twice, four_times = (calls(EVERYTHING, [n, n - 1]) for n in (50_000, 100_000, 200_000))
    assert once <= twice <= once + 1 and twice <= four_times <= once + 2
