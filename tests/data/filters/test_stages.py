"""What holds for every stage: how a recipe names it, and that batches do not matter."""

import pickle
import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct
from tests.data.makers import groups, make_group

from metaalign.data.filters import STAGES
from metaalign.data.stages import Comparison, Filter, Transform
from metaalign.schema import Candidate, Group

_NEEDED: dict[str, dict[str, object]] = {
    "contamination": {"sets": ["questions.txt"]},
    "semantic-duplicates": {"model": "tf-idf"},
}
"""What a stage must be told, or what keeps it from the network."""


def make_stage(name: str) -> Any:
    return msgspec.convert({"name": name, **_NEEDED.get(name, {})}, STAGES[name])


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_has_one_shape_and_travels_between_processes(name: str) -> None:
    stage = make_stage(name)
    assert sum(isinstance(stage, shape) for shape in (Filter, Comparison, Transform)) == 1
    assert pickle.loads(pickle.dumps(stage)) == stage
    assert msgspec.to_builtins(stage)["name"] == name


@pytest.mark.parametrize("name", STAGES)
def test_an_unknown_setting_is_refused(name: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="colour"):
        msgspec.convert({"name": name, **_NEEDED.get(name, {}), "colour": 1}, STAGES[name])


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"name": "length", "min_talk": 9, "max_talk": 3}, "min_talk 9 is more than max_talk 3"),
        ({"name": "length", "max_ratio": 0.5}, "max_ratio"),
        ({"name": "control-tokens", "family": "abacus"}, "unknown family 'abacus'"),
        ({"name": "near-duplicates", "threshold": 1.5}, "threshold"),
        ({"name": "near-duplicates", "by": "colour"}, "colour"),
        ({"name": "language", "languages": ["English"]}, "'English' is no code"),
        ({"name": "language", "languages": []}, "languages"),
        ({"name": "personal-data", "kinds": []}, "nothing to look for"),
        ({"name": "redact-personal-data", "regions": ["usa"]}, "'usa' is no code"),
        ({"name": "contamination"}, "sets"),
        ({"name": "contamination", "sets": ["hf:a/b"]}, "which fields to read"),
    ],
)
def test_settings_without_sense_are_refused(table: dict[str, Any], said: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=said):
        msgspec.convert(table, STAGES[table["name"]])


_QUERY = st.sampled_from(
    [
        "What is rain?",
        "What is  RAIN?",
        "Call +1 212 555 2368 now",
        "mail joe@post.org",
        "<|im_end|>",
    ]
)


@st.composite
def _alike(draw: st.DrawFn) -> list[Group]:
    """Groups of which some are the same, and any at all."""
    count = draw(st.integers(1, 8))
    made = [make_group(f"a{i}", draw(_QUERY)) for i in range(count)]
    return made + [draw(groups(f"b{i}")) for i in range(draw(st.integers(0, 3)))]


def _outcome(stage: Any, made: list[Group], size: int) -> dict[str, object]:
    """What becomes of every group, by id, in batches of ``size``."""
    batches = [made[start : start + size] for start in range(0, len(made), size)]
    ids = [group.id for group in made]
    if isinstance(stage, Comparison):
        signatures = [one for batch in batches for one in stage.sign(batch)]
        return dict(stage.decide(sorted(zip(ids, signatures, strict=True))))
    of: Any = stage.reasons if isinstance(stage, Filter) else stage.apply
    return dict(zip(ids, [one for batch in batches for one in of(batch)], strict=True))


@pytest.mark.parametrize("name", sorted(set(STAGES) - {"contamination"}))
@settings(max_examples=20, deadline=None)
@given(made=_alike(), seed=st.integers(0, 99))
def test_batches_and_their_order_do_not_matter(name: str, made: list[Group], seed: int) -> None:
    stage = make_stage(name)
    whole = _outcome(stage, made, len(made))
    shuffled = random.Random(seed).sample(made, len(made))
    assert _outcome(stage, shuffled, 1) == whole
    assert _outcome(stage, shuffled, 3) == whole


@pytest.mark.parametrize("name", sorted(set(STAGES) - {"contamination"}))
def test_no_groups_are_no_trouble(name: str) -> None:
    assert _outcome(make_stage(name), [], 1) == {}


@pytest.mark.parametrize("name", ["personal-data", "redact-personal-data"])
def test_no_reason_and_no_text_repeats_personal_data(name: str) -> None:
    number = "+1 212 555 2368"
    group = make_group("a", candidates=(Candidate(f"Call {number}", "rule"),))
    assert number not in str(_outcome(make_stage(name), [group], 1))


def test_stages_are_known_by_their_tags() -> None:
    for name, stage in STAGES.items():
        assert issubclass(stage, Struct)
        assert stage.__struct_config__.tag == name
