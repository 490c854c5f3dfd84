"""The closed world: large enough, without contradictions, and with values that nobody has seen."""

import re
import tomllib
from importlib.resources import files

import pytest

from metaalign.sandbox.world import SYNONYMS, Words, load_world


def values(words: Words, name: str) -> set[str]:
    return set({"names": words.names, "nouns": words.nouns, "openings": words.openings}[name])


def parts(name: str) -> list[list[str]]:
    """What the values are put together from, in order."""
    path = files("metaalign.sandbox") / "world" / "styles.toml"
    table = tomllib.loads(path.read_text("utf-8"))[name]
    return [table["first"], table.get("middle", [""]), table["last"]]


def test_the_world_is_as_large_as_it_should_be() -> None:
    world = load_world()
    counts = {kind: len(queries) for kind, queries in world.queries.items()}
    assert counts["benign"] >= 150
    assert counts["harmful"] >= 40
    assert counts["sounds_harmful"] >= 30
    assert counts["contested"] >= 40
    assert len(world.personas) >= 100


@pytest.mark.parametrize("name", ["names", "nouns", "openings"])
def test_about_an_eighth_of_the_open_values_is_kept_from_training(name: str) -> None:
    world = load_world()
    seen, unseen = values(world.seen, name), values(world.unseen, name)
    assert not seen & unseen
    first, middle, last = parts(name)
    assert seen | unseen == {a + b + c for a in first for b in middle for c in last}
    assert 0.09 < len(unseen) / len(seen | unseen) < 0.16


@pytest.mark.parametrize("name", ["names", "nouns", "openings"])
def test_every_unseen_value_is_made_of_parts_that_training_knows(name: str) -> None:
    world, (first, middle, last) = load_world(), parts(name)
    made = {a + b + c: (a, b, c) for a in first for b in middle for c in last}
    known = [{made[value][i] for value in values(world.seen, name)} for i in range(3)]
    for value in values(world.unseen, name):
        assert all(part in known[i] for i, part in enumerate(made[value]))


def test_no_text_holds_a_synonym_so_that_one_can_only_be_a_swap() -> None:
    synonym = re.compile(rf"\b({'|'.join(SYNONYMS.values())})\b", re.IGNORECASE)
    for queries in load_world().queries.values():
        for q in queries:
            texts = (q.topic, *q.facts, *q.general, q.safer, q.consensus, *q.views.values())
            assert not synonym.search(" ".join(texts)), q.id


def test_a_measure_stands_in_the_main_point_so_that_every_answer_shows_it() -> None:
    for queries in load_world().queries.values():
        for q in queries:
            if any("{" in fact for fact in q.facts):
                assert re.search(r"\{[^|}]+\|[^|}]+\}", q.facts[0]), q.id
