"""The record for audit: the same bytes for the same resolution, and everything in it."""

import json
from random import Random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.policy.makers import KINDS, MATRIX, in_matrix, user

from metaalign.policy import PriorityMatrix, audit, explain, load_matrix, resolve
from metaalign.schema import USER_INFO, Ambiguity, Kind, Preference, Resolution

LEFT = [
    Ambiguity(USER_INFO, "tone", "perhaps formal", "hedged", (0, 14)),
    Ambiguity(USER_INFO, "length", "short or long", "alternatives", (0, 13)),
]


def test_the_record_holds_the_resolution_its_matrix_and_its_sentences() -> None:
    resolution = resolve([user("length", "short")], "benign", MATRIX, kind_by="x", ambiguous=LEFT)
    record = json.loads(audit(resolution))
    assert list(record) == sorted(record)
    assert record["schema"] == 2
    assert record["matrix"] == "default@1.1.0/system_first"
    assert record["matrix_hash"] == MATRIX.content_hash
    assert record["explanation"] == explain(resolution)
    assert record["decisions"][0]["asked"][0]["value"] == "short"
    assert [item["reason"] for item in record["ambiguous"]] == ["alternatives", "hedged"]


@settings(max_examples=200, deadline=None)
@given(in_matrix(), KINDS, st.randoms())
def test_equal_inputs_give_equal_bytes_and_the_record_decodes(
    drawn: tuple[PriorityMatrix, list[Preference]], kind: Kind, random: Random
) -> None:
    matrix, asked = drawn
    resolution = resolve(asked, kind, matrix, ambiguous=LEFT)
    shuffled, left = random.sample(asked, len(asked)), random.sample(LEFT, len(LEFT))
    assert audit(resolve(shuffled, kind, matrix, ambiguous=left)) == audit(resolution)
    assert msgspec.json.decode(audit(resolution), type=Resolution) == resolution


def test_another_rule_leaves_another_record() -> None:
    first, second = (
        audit(resolve([], "benign", load_matrix(rule=rule)))
        for rule in ("system_first", "user_first")
    )
    assert first != second
