"""Draws by hash are the same everywhere, fair, and independent of each other."""

import subprocess
import sys

from metaalign.data.draw import digest, pick, unit


def test_a_draw_is_the_same_in_another_process() -> None:
    code = "from metaalign.data.draw import digest; print(digest('a', 1))"
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": "123"},
    )
    assert found.stdout.strip() == digest("a", 1)


def test_where_one_part_ends_matters() -> None:
    assert digest("ab", "c") != digest("a", "bc") != digest("abc")


def test_units_are_uniform() -> None:
    values = [unit("u", i) for i in range(10_000)]
    assert min(values) >= 0 and max(values) < 1
    # Each tenth holds 1000 on average, standard deviation 30; five of them.
    tenths = [sum(int(v * 10) == t for v in values) for t in range(10)]
    assert all(abs(n - 1000) < 150 for n in tenths)


def test_picks_of_different_names_are_independent() -> None:
    pairs = [(pick("ab", i, "first"), pick("ab", i, "second")) for i in range(4000)]
    # Each of the four pairs is drawn 1000 times on average, standard deviation 27; five of them.
    counts = [pairs.count((x, y)) for x in "ab" for y in "ab"]
    assert all(abs(n - 1000) < 137 for n in counts)
