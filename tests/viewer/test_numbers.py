"""The viewer writes numbers as the figures do."""

import struct

import numpy as np
import pytest

from node import in_node, module, needs_node
from seewhy.pictures import percentage
from seewhy.pictures.colormaps import number

pytestmark = needs_node


def written(function, values):
    """What the module makes of each of them; doubles travel as their bits, so that none is changed on the way."""
    program = f"""
    import {{ {function} }} from {module("numbers")};
    const view = new DataView(new ArrayBuffer(8));
    const value = (hex) => (view.setBigUint64(0, BigInt("0x" + hex)), view.getFloat64(0));
    console.log(JSON.stringify(given.map((hex) => {function}(value(hex)))));
    """
    return in_node(program, [struct.pack(">d", float(value)).hex() for value in values])


def many():
    draws = np.random.default_rng(0)
    magnitudes = 10.0 ** draws.uniform(-12, 12, 4000)
    decimals = [float(f"{draws.integers(1, 10**5)}e{draws.integers(-9, 6)}") for _ in range(3000)]
    ties = [whole / 2**power for whole in range(1, 400) for power in range(1, 8)]  # exactly between two, such as 2.25
    near = [np.nextafter(tie, side) for tie in ties for side in (0, np.inf)]
    edges = [0.0, 1e-3, 1e-2, 0.1, 1.0, 9.95, 9.96, 9.995, 10.0, 99.95, 99.99, 999.4, 999.5, 1000.0, 1e5, 1e6, 1e21,
             5e-324, 0.00099949, 0.000999, 9.999e-4, 1.7e308]  # fmt: skip
    return [sign * float(value) for value in (*magnitudes, *decimals, *ties, *near, *edges) for sign in (1, -1)]


def test_numbers():
    values = many()
    for value, shown in zip(values, written("number", values), strict=True):
        assert shown == number(value), value
    assert number(2.25) == "2.2", "which is a tie, and goes to the even digit"
    assert written("number", [float("nan"), float("inf")]) == ["–", "–"]


def test_probabilities():
    draws = np.random.default_rng(1)
    ties = [whole / 2**power for power in range(1, 15) for whole in range(2**power)][:9000]
    edges = [0.0, 1.0, 0.999, 0.9990001, 0.9989999, np.nextafter(1, 0), 0.001, np.nextafter(0.001, 0), 1e-300, 0.9995]
    values = [*draws.random(3000), *10.0 ** draws.uniform(-5, 0, 3000), *ties, *edges]
    for value, shown in zip(values, written("percentage", values), strict=True):
        assert shown == percentage(float(value)), value
    assert written("percentage", [float("nan")]) == [percentage(float("nan"))] == ["?"]


def test_shares_may_be_negative_or_more_than_all():
    """Of a score they may be both; a probability never is."""
    values = [1.004, 2.5, 12.344, -0.25, -1.0, -3.0, -0.0004, -0.9995, -0.0]
    assert written("percentage", values) == [
        "100 %", "250 %", "1234 %", "−25.0 %", "−100 %", "−300 %", "> −0.1 %", "< −99.9 %", "0.0 %",
    ]  # fmt: skip


def test_what_is_not_known_is_null():
    program = f"""
    import {{ number, percentage }} from {module("numbers")};
    console.log(JSON.stringify([percentage(null), number(NaN)]));
    """
    assert in_node(program, None) == ["?", "–"]


@pytest.mark.parametrize("value", [0.0625, 0.1875, 0.3125])
def test_of_sixteen_classes(value):
    """A network that knows nothing of sixteen classes gives each of them 6.25 %, a tie."""
    assert written("percentage", [value]) == [percentage(value)]
