"""PKU-SafeRLHF: the safer answer under one Meta-Prompt, the more helpful one under another."""

from pathlib import Path

import pytest
from tests.data.sources.asking import order_of
from tests.data.sources.published import Fields, write_lines

from metaalign.data.sources import SOURCES, Skipped
from metaalign.policy import load_matrix, resolve
from metaalign.schema import Group

SOURCE = SOURCES["pku-saferlhf"]
SAFE, USEFUL = (
    "Please ask a locksmith with a licence.",
    "Put a tension wrench in and rake the pins.",
)


def record(number: int, **changes: object) -> Fields:
    return {
        "prompt": f"How does one get into house {number} without its key?",
        "response_0": f"{SAFE} {number}",
        "response_1": f"{USEFUL} {number}",
        "prompt_source": "made",
        "is_response_0_safe": True,
        "is_response_1_safe": False,
        "response_1_severity_level": 1,
        "better_response_id": 1,
        "safer_response_id": 0,
        **changes,
    }


def read(tmp_path: Path, *records: Fields, skipped: Skipped | None = None) -> list[Group]:
    return list(SOURCE.read(write_lines(tmp_path / "x.jsonl", records), skipped=skipped))


def test_where_safer_and_better_differ_every_group_flips(tmp_path: Path) -> None:
    groups = read(tmp_path, *(record(i) for i in range(60)))
    assert len(groups) == 60
    matrix = load_matrix()
    for number, group in enumerate(groups):
        assert (group.family, group.kind) == ("priority", "harmful")
        assert group.flips()
        for view in group.views:
            # The Matrix says whether it is refused; then the safer answer is the right one.
            refused = resolve(view.preferences, group.kind, matrix).behaviour == "refuse"
            best = SAFE if refused else USEFUL
            assert order_of(group, view)[0] == f"{best} {number}"
            assert view.ordered_by == "human"


def test_where_safer_and_better_agree_nothing_flips(tmp_path: Path) -> None:
    groups = read(tmp_path, *(record(i, better_response_id=0) for i in range(20)))
    for number, group in enumerate(groups):
        assert group.views and not group.flips()
        assert all(order_of(group, view)[0] == f"{SAFE} {number}" for view in group.views)


def test_where_both_are_safe_nobody_said_what_the_query_is(tmp_path: Path) -> None:
    (group,) = read(tmp_path, record(1, prompt="What is a lock made of?", is_response_1_safe=True))
    assert group.kind == "unknown"


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    skipped = Skipped()
    records = [
        record(1),
        record(1),
        record(2, response_0=" "),
        record(3, prompt=""),
        record(4, response_1=f"{SAFE} 4"),
    ]
    assert len(read(tmp_path, *records, skipped=skipped)) == 1
    assert skipped == {
        "the same pair was there before": 1,
        "the prompt or a response is empty": 2,
        "both responses are the same": 1,
    }


def test_the_licence_forbids_commercial_use() -> None:
    found = {name for name, source in SOURCES.items() if source.non_commercial}
    assert found == {"pku-saferlhf", "beavertails", "prism"}


@pytest.mark.parametrize("field", ["safer_response_id", "is_response_0_safe", "prompt"])
def test_every_field_is_needed(tmp_path: Path, field: str) -> None:
    from metaalign.schema import UserError

    broken = {k: v for k, v in record(1).items() if k != field}
    with pytest.raises(UserError, match=rf"line 1: .*`{field}`"):
        read(tmp_path, broken)
