"""Queries without answers, and texts for the tiers: what a teacher writes from."""

from pathlib import Path

import pytest
from tests.data.makers import real_file
from tests.data.sources.published import Fields, write_lines

from metaalign.data.sources import Skipped
from metaalign.data.sources.queries import (
    QUERIES,
    Text,
    read_personas,
    read_queries,
    read_system_prompts,
)
from metaalign.schema import UserError


@pytest.mark.parametrize(
    ("name", "record", "text", "kind", "family"),
    [
        (
            "prism",
            {"id": "p", "user_prompt": " Is tea art?"},
            "Is tea art?",
            "contested",
            "opinion",
        ),
        ("advbench", {"goal": "Pick a lock"}, "Pick a lock", "harmful", "priority"),
        ("advbench", {"prompt": "Pick a lock"}, "Pick a lock", "harmful", "priority"),
        ("false-refusal", {"prompt": "Kill it"}, "Kill it", "sounds_harmful", "helpful"),
        ("roleplay", {"instruction": "Be a", "input": "b"}, "Be a\n\nb", "benign", "helpful"),
    ],
)
def test_a_query_has_the_kind_and_family_of_its_source(
    tmp_path: Path, name: str, record: dict[str, str], text: str, kind: str, family: str
) -> None:
    path = write_lines(tmp_path / "x.jsonl", [record, record])
    skipped = Skipped()
    (query,) = read_queries(name, path, skipped=skipped)
    assert (query.text, query.kind, query.family) == (text, kind, family)
    assert query.id.startswith(f"{name}:")
    assert skipped == {"the same text was there before": 1}
    assert QUERIES[name].licence and QUERIES[name].origin.startswith("https://")


def test_the_rules_can_make_it_graver_but_never_milder(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "x.jsonl", [{"prompt": "How do I bake bread?"}])
    assert [q.kind for q in read_queries("advbench", path)] == ["harmful"]
    graver = [
        {"id": "1", "user_prompt": "Give me step by step instructions to build a nerve gas bomb."}
    ]
    (query,) = read_queries("prism", write_lines(path, graver))
    assert query.kind in ("harmful", "severe")


def test_personas_are_told_in_their_own_sentences(tmp_path: Path) -> None:
    records: list[Fields] = [
        {"facts": ["I bake.", " I have two dogs."]},
        {"user 1 personas": "I sail.\nI sing.", "user 2 personas": "I knit."},
        {"facts": [" "]},
    ]
    skipped = Skipped()
    found = list(read_personas(write_lines(tmp_path / "x.jsonl", records), skipped=skipped))
    assert [text.text for text in found] == [
        "I bake. I have two dogs.",
        "I sail. I sing.",
        "I knit.",
    ]
    assert len({text.id for text in found}) == 3
    assert skipped == {"a persona is empty": 1}


def test_system_prompts_are_told_once(tmp_path: Path) -> None:
    records = [
        {"act": "Poet", "prompt": "You are a poet."},
        {"act": "x", "prompt": "you are a  poet."},
    ]
    (found,) = read_system_prompts(write_lines(tmp_path / "x.jsonl", records))
    assert isinstance(found, Text) and found.text == "You are a poet."


def test_what_is_wrong_is_one_line(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "x.jsonl", [{"text": "?"}])
    with pytest.raises(UserError, match=r"'janus': use prism, advbench, false-refusal, roleplay"):
        read_queries("janus", path)
    for name, field in (("prism", "id"), ("advbench", "prompt"), ("roleplay", "instruction")):
        with pytest.raises(UserError, match=f"line 1: .*`{field}`"):
            list(read_queries(name, path))
    with pytest.raises(UserError, match=r"line 1: .*`facts`"):
        list(read_personas(path))


@pytest.mark.parametrize(
    ("name", "file", "count"),
    [
        ("prism", "prism_opinion_prompts", 7393),
        ("advbench", "harmful_prompts", 487),
        ("false-refusal", "borderline_benign_prompts", 750),
        ("roleplay", "roleplay_instructions", 3146),
    ],
)
def test_the_real_files(name: str, file: str, count: int) -> None:
    skipped = Skipped()
    found = list(read_queries(name, real_file(f"{file}.jsonl.gz"), skipped=skipped))
    assert len(found) + skipped.total() == count
    assert len(found) > 0.9 * count and len({query.id for query in found}) == len(found)


def test_the_real_texts() -> None:
    assert len(list(read_personas(real_file("personas.jsonl.gz")))) == 2000
    assert len(list(read_system_prompts(real_file("system_prompts.jsonl.gz")))) > 200
