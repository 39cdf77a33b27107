"""Optimizers and learning rates: exact values, torch as reference, parsers under arbitrary text."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.optimization import learning_rates, make_optimizer, parse_scheduler


def plain_parse(text):
    """What a scheduler descriptor means, by splitting; None where it means nothing."""
    parts = text.split("_")
    if len(parts) != 3 or parts[0] not in ("1cycle", "steplr"):
        return None
    for part in parts[1:]:
        if not part or not set(part) <= set("0123456789.eE+-") or part[0] in "+-eE":
            return None
    try:
        first, second = float(parts[1]), float(parts[2])
    except ValueError:
        return None
    if math.isinf(first) or math.isinf(second):
        return None
    if parts[0] == "1cycle":
        sensible = first <= second
    else:
        sensible = first >= 1 and first.is_integer() and second > 0
    return (parts[0], first, second) if sensible else None


numbers = st.one_of(
    st.integers(0, 10**6).map(str),
    st.floats(0, 1e6).map(repr),
    st.floats(0, 1e6).map("{:.4f}".format),
    st.floats(0, 1e6).map("{:e}".format),
    st.sampled_from([".5", "5.", "1e400", "1E-3", "0", "1e-400"]),
)
descriptors = st.builds("{}_{}_{}".format, st.sampled_from(["1cycle", "steplr"]), numbers, numbers)
nearly = st.lists(
    st.sampled_from(
        ["1cycle", "steplr", "_", "-", "+", "0", "1", "05", ".", "e", "٣", " ", "\n", "nan", "inf"]
    ),
    max_size=9,
).map("".join)


@settings(max_examples=1000, deadline=None)
@given(st.one_of(st.text(), nearly, descriptors))
def test_any_text_is_parsed_right_or_refused(text):
    expected = plain_parse(text)
    if expected is None:
        with pytest.raises(ValueError, match="scheduler: expected"):
            parse_scheduler(text)
    else:
        assert parse_scheduler(text) == expected


@settings(max_examples=1000, deadline=None)
@given(low=st.floats(0, 1e3), span=st.floats(0, 1e3), form=st.sampled_from(["{!r}", "{:.6f}", "{:.3e}"]))
def test_one_cycle_text_gives_its_numbers(low, span, form):
    low, high = form.format(low), form.format(low + span)
    assert parse_scheduler(f"1cycle_{low}_{high}") == ("1cycle", float(low), float(high))


@settings(max_examples=1000, deadline=None)
@given(epochs=st.integers(1, 10**30), gamma=st.floats(1e-6, 10))
def test_steplr_text_gives_its_numbers(epochs, gamma):
    descriptor = f"steplr_{epochs}_{gamma!r}"
    assert parse_scheduler(descriptor) == ("steplr", float(epochs), gamma)
    rates = learning_rates(descriptor, steps=6, steps_per_epoch=2, base_lr=0.5)
    assert rates[0] == 0.5 and rates[5] == pytest.approx(0.5 * gamma ** (2 // epochs))


@pytest.mark.parametrize(
    "text",
    [
        *["", "1cycle", "1cycle_", "1cycle_0.1", "1cycle_0.1_1_2", "1cycle_-0.1_1", "1cycle_0.5_0.1"],
        *["1cycle_nan_1", "1cycle_0_inf", "1cycle_1e400_1e401", "1cycle_0.1_1\n", "1cycle_1__2"],
        *["steplr_0_0.5", "steplr_1.5_0.5", "steplr_1_0", "steplr_1_-1", "steplr_1_1e-400"],
        *["cosine_1_2", "STEPLR_1_0.5", " steplr_1_0.5", "steplr_٣_0.5", "steplr_1_0x1"],
    ],
)
def test_refused_descriptors_name_the_grammar(text):
    with pytest.raises(ValueError, match="scheduler: expected") as error:
        parse_scheduler(text)
    assert repr(text) in str(error.value)


def test_one_cycle_exact():
    rates = learning_rates("1cycle_0.1_1", steps=10, steps_per_epoch=5, base_lr=123)
    falling = [1 - 0.9999 * k / 7 for k in range(7)]
    np.testing.assert_allclose(rates, [0.1, 0.4, 0.7, *falling], rtol=1e-12)


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 10, 15, 1000])
def test_one_cycle_shape(steps):
    """From min, up to max at round(0.3 T), and down towards min / 1000 without reaching it."""
    rates = learning_rates("1cycle_0.001_0.01", steps, 7, 0.5)
    turn = round(0.3 * steps)
    assert rates.shape == (steps,) and rates.dtype == np.float64
    assert rates[turn] == rates.max() == 0.01
    assert turn == 0 or rates[0] == 0.001
    rising, falling = np.diff(rates[: turn + 1]), np.diff(rates[turn:])
    np.testing.assert_allclose(rising, 0.009 / max(turn, 1), rtol=1e-9)
    np.testing.assert_allclose(falling, (1e-6 - 0.01) / (steps - turn), rtol=1e-9)
    assert rates[-1] > 1e-6


def test_one_cycle_may_be_flat_or_start_at_zero():
    assert learning_rates("1cycle_0.5_0.5", 10, 1, 1)[:4].tolist() == [0.5] * 4
    assert learning_rates("1cycle_0_1", 10, 1, 1)[0] == 0


def test_steplr_exact():
    rates = learning_rates("steplr_2_0.5", steps=14, steps_per_epoch=3, base_lr=0.8)
    assert rates.tolist() == [0.8] * 6 + [0.4] * 6 + [0.2] * 2


@pytest.mark.parametrize("epochs, gamma", [(1, 0.5), (2, 0.9), (3, 1.0), (100, 0.1)])
def test_steplr_equals_torch(epochs, gamma):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.01)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, epochs, gamma)
    expected = []
    for _ in range(8):
        expected += [schedule.get_last_lr()[0]] * 4
        optimizer.step()
        schedule.step()
    np.testing.assert_allclose(learning_rates(f"steplr_{epochs}_{gamma}", 32, 4, 0.01), expected, rtol=1e-9)


@pytest.mark.parametrize("descriptor", ["1cycle_0.1_1", "steplr_1_0.5"])
def test_no_steps_no_rates(descriptor):
    assert learning_rates(descriptor, steps=0, steps_per_epoch=0, base_lr=0.1).shape == (0,)


@pytest.mark.parametrize("epochs", ["100000000000000000000", "1e300"])
def test_steps_that_never_end_keep_the_rate(epochs):
    assert learning_rates(f"steplr_{epochs}_0.5", 4, 1, 0.1).tolist() == [0.1] * 4


def test_learning_rates_refuses_what_the_parser_refuses():
    with pytest.raises(ValueError, match="scheduler: expected"):
        learning_rates("plateau", 10, 5, 0.1)


def test_adam_is_amsgrad():
    optimizer = make_optimizer("adam", [torch.nn.Parameter(torch.zeros(2))], lr=0.25, weight_decay=1e-3)
    assert type(optimizer) is torch.optim.Adam
    assert optimizer.defaults["amsgrad"]
    assert (optimizer.defaults["lr"], optimizer.defaults["weight_decay"]) == (0.25, 1e-3)


def test_momentum_takes_nesterov_steps():
    """Gradient 1, twice: v = 1, step 1.9; v = 1.9, step 1 + 0.9 * 1.9."""
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = make_optimizer("momentum", [weight], lr=0.1, weight_decay=0)
    for expected in (-0.19, -0.19 - 0.271):
        weight.grad = torch.ones(1)
        optimizer.step()
        assert weight.item() == pytest.approx(expected)


def test_momentum_decays_weights():
    weight = torch.nn.Parameter(torch.full((1,), 2.0))
    optimizer = make_optimizer("momentum", [weight], lr=0.1, weight_decay=0.5)
    weight.grad = torch.zeros(1)
    optimizer.step()
    assert weight.item() == pytest.approx(2 - 0.1 * 1.9 * 0.5 * 2)


@pytest.mark.parametrize("name", ["adam", "momentum"])
def test_optimizers_go_downhill(name):
    weight = torch.nn.Parameter(torch.tensor([3.0, -2.0]))
    optimizer = make_optimizer(name, [weight], lr=0.05, weight_decay=0)
    for _ in range(200):
        optimizer.zero_grad()
        weight.square().sum().backward()
        optimizer.step()
    assert weight.abs().max() < 0.1


def test_unknown_optimizer_names_the_known():
    with pytest.raises(ValueError, match="adam.*momentum.*'sgd'"):
        make_optimizer("sgd", [torch.nn.Parameter(torch.zeros(1))], 0.1, 0)
