"""Groups, and queries, that are nearly the same as others."""

import random
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.filters.exactly import jaccard
from tests.data.filters.test_minhash import sentence
from tests.data.makers import make_group

from metaalign.data.filters.near import By, NearDuplicates, near_links
from metaalign.schema import Candidate, Group, MetaPrompt, View


def dropped(stage: NearDuplicates, made: list[Group]) -> dict[str, tuple[str, float]]:
    """For whom, and how alike."""
    signed = zip([group.id for group in made], stage.sign(made), strict=True)
    found = {}
    for name, reason in stage.decide(sorted(signed)).items():
        what, _, fact = reason.partition(": ")
        assert what == "near-duplicate"
        kept, _, alike = fact.rpartition(", ")
        found[name] = (kept, float(alike))
    return found


def changed(text: str, draw: random.Random, share: float) -> str:
    """``text`` with some of its words replaced."""
    return " ".join(w if draw.random() >= share else sentence(draw, 1) for w in text.split())


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_recall_and_precision_against_all_pairs_by_brute_force(seed: int) -> None:
    """Pairs clearly above the threshold are found; what is dropped is hardly below it."""
    draw = random.Random(seed)
    texts = [sentence(draw, draw.randint(8, 30)) for _ in range(60)]
    texts += [changed(draw.choice(texts), draw, draw.choice((0.02, 0.05, 0.2))) for _ in range(60)]
    names = [f"g{number:03}" for number in range(len(texts))]
    made = [make_group(name, text) for name, text in zip(names, texts, strict=True)]
    found = dropped(NearDuplicates(by="query", threshold=0.8), made)
    by_name = dict(zip(names, texts, strict=True))
    for name, (kept, alike) in found.items():
        assert kept < name and kept not in found
        exact = jaccard(by_name[name], by_name[kept])
        assert exact > 0.65  # more than four standard errors below the threshold
        assert abs(alike - exact) < 0.15
    left = [name for name in names if name not in found]
    missed = [
        (one, other)
        for at, one in enumerate(left)
        for other in left[:at]
        if jaccard(by_name[one], by_name[other]) >= 0.92
    ]
    assert not missed


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.9])
def test_recall_is_promised_at_other_thresholds_too(threshold: float) -> None:
    draw = random.Random(threshold)
    texts = [sentence(draw, 20) for _ in range(400)]
    pairs = [(text, changed(text, draw, (1 - threshold) / 4)) for text in texts]
    made = [make_group(f"{n:03}{i}", t) for n, p in enumerate(pairs) for i, t in enumerate(p)]
    found = dropped(NearDuplicates(by="query", threshold=threshold), made)
    clear = [f"{n:03}1" for n, p in enumerate(pairs) if jaccard(*p) >= threshold + 0.08]
    assert len(clear) > 100
    assert sum(name in found for name in clear) >= 0.97 * len(clear)


def test_nothing_is_dropped_for_the_sake_of_something_dropped() -> None:
    words = [f"word{number:02}" for number in range(40)]
    chain = [" ".join(["new"] * 2 * step + words[2 * step :]) for step in range(12)]
    made = [make_group(f"c{step:02}", text) for step, text in enumerate(chain)]
    found = dropped(NearDuplicates(by="query", threshold=0.8), made)
    assert found and len(found) < len(chain) - 1
    assert all(kept not in found for kept, _ in found.values())
    left = [text for group, text in zip(made, chain, strict=True) if group.id not in found]
    assert all(jaccard(one, other) < 0.85 for one, other in pairwise(left))


def test_the_same_group_under_other_meta_prompts_is_no_duplicate() -> None:
    one, other = make_group("a", "What is rain?"), make_group("b", "What is rain?")
    told = View(MetaPrompt.of(user_info="I am a sailor."), (0, 1), "rule")
    different = make_group("c", "What is rain?", views=(told,))
    turned = make_group("d", "What is rain?", views=one.views[::-1])
    found = dropped(NearDuplicates(), [one, other, different, turned])
    assert found == {"b": ("a", 1.0), "d": ("a", 1.0)}


@pytest.mark.parametrize(
    ("by", "near"),
    [
        ("group", set()),
        ("talk", {"b", "c"}),
        ("query", {"b", "c"}),
        ("preferences", {"b", "c", "d"}),
    ],
)
def test_what_is_compared_is_a_setting(by: By, near: set[str]) -> None:
    long = (Candidate("Water that falls from clouds.", "rule"), Candidate("A fall.", "rule"))
    other = (Candidate("Nobody could possibly know.", "rule"), Candidate("Weather!", "rule"))
    made = [
        make_group("a", "What is the rain that falls?"),
        make_group("b", "What is the rain that  FALLS?", candidates=long),
        make_group("c", "What is the rain that falls?", candidates=other),
        make_group("d", "Who wrote the play?"),
    ]
    assert set(dropped(NearDuplicates(by=by), made)) == near


def test_what_has_nothing_to_compare_is_kept() -> None:
    made = [make_group(name, turns=(), candidates=(), views=()) for name in "abc"]
    for by in ("group", "talk", "query", "preferences"):
        stage = NearDuplicates(by=by)
        assert stage.sign(made) == [b""] * 3
        assert dropped(stage, made) == {}


def test_thousands_of_copies_leave_one() -> None:
    made = [make_group(f"{n:05}", "One and the same question, whoever asks.") for n in range(3_000)]
    assert len(dropped(NearDuplicates(by="query"), made)) == 2_999


def test_links_join_queries_that_are_nearly_the_same() -> None:
    draw = random.Random(0)
    texts = [sentence(draw, 20) for _ in range(50)]
    near = texts[10].replace("a", "e", 1)
    named = [*enumerate(texts), (2**64 - 1, near), (77, texts[3].upper()), (78, ""), (79, "")]
    assert jaccard(texts[10], near) >= 0.85
    assert set(near_links(named, 0.8)) == {(10, 2**64 - 1), (3, 77)}
    assert list(near_links([], 0.8)) == []


def test_a_group_takes_about_two_hundred_bytes_while_all_are_compared() -> None:
    count = 200_000
    draw = random.Random(0)
    signed = ((f"source-{number:09}", draw.randbytes(128)) for number in range(count))
    tracemalloc.start()
    assert NearDuplicates().decide(signed) == {}
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak / count < 220
