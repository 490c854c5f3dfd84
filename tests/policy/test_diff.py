"""What changes from one matrix to another."""

import json
from pathlib import Path

import msgspec

from metaalign.policy import diff, load_matrix
from metaalign.policy.diff import CellChange, PartChange

EXTENDS = 'extends = "default"\nname = "mine"\nversion = "2"\n'


def test_two_rules_of_one_file_differ_where_they_settle_a_conflict() -> None:
    found = diff(load_matrix(), load_matrix(rule="safety_first"))
    assert found.parts == ()
    assert found.combinations == (
        CellChange("harmful", "helpfulness", "safety", "answer", "refuse"),
        CellChange("contested", "background", "consensus", "personal_view", "consensus_view"),
        CellChange("unknown", "helpfulness", "safety", "answer", "refuse"),
    )


def test_a_matrix_does_not_differ_from_itself() -> None:
    found = diff(load_matrix(), load_matrix())
    assert (found.combinations, found.parts) == ((), ())


def test_every_other_part_that_changes_is_listed(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    text = EXTENDS + 'tiers = ["user_info", "system_info"]\ntalk = ""\n'
    text += '[dimensions.length]\nconflict = "ordered"\nvalues = ["short", "long"]\n'
    text += '[dimensions.colour]\nconflict = "additive"\n[behaviours.refuse]\n'
    path.write_text(text, encoding="utf-8")
    found = diff(load_matrix(), load_matrix(path))
    assert found.combinations == ()
    assert set(found.parts) == {
        PartChange("tiers", "system_info, user_info", "user_info, system_info"),
        PartChange("talk", "user_info", None),
        PartChange("dimensions.length", "exclusive: short, long", "ordered: short, long"),
        PartChange("dimensions.colour", None, "additive: any value"),
        PartChange(
            "behaviours.refuse",
            "lifts length, format, audience, units, follow_up",
            "lifts nothing",
        ),
    }


def test_a_floor_and_a_priority_that_only_one_knows(tmp_path: Path) -> None:
    """The fifth row and column of every table are new or gone: 9 combinations a kind."""
    default = load_matrix()
    stated = ("-", "safety", "helpfulness", "consensus")
    text = EXTENDS + 'priorities = ["safety", "helpfulness", "consensus"]\n'
    for kind, cells in default.tables.items():
        rows = [["higher / lower", *stated]]
        rows += [[higher, *(cells[higher, lower] for lower in stated)] for higher in stated]
        text += f"[kinds.{kind}]\ntable = {rows}\n"
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    mine = load_matrix(path)
    found, back = diff(default, mine), diff(mine, default)
    assert len(found.combinations) == len(back.combinations) == 6 * 9
    assert CellChange("harmful", "safety", "background", "refuse", None) in found.combinations
    assert CellChange("harmful", "safety", "background", None, "refuse") in back.combinations
    assert PartChange("floors.severe", "refuse", None) in found.parts


def test_the_order_of_the_dimensions_counts(tmp_path: Path) -> None:
    text = Path(__file__).parents[2] / "src/metaalign/policy/matrices/default.toml"
    head, tone, rest = text.read_text(encoding="utf-8").partition("[dimensions.tone]")
    tone += rest[: rest.index("[dimensions.audience]")]
    moved = rest[len(tone) - len("[dimensions.tone]") :]
    path = tmp_path / "mine.toml"
    path.write_text(head + moved + "\n" + tone, encoding="utf-8")
    (found,) = diff(load_matrix(), load_matrix(path)).parts
    assert found.part == "order of dimensions"


def test_as_json_it_says_from_and_to() -> None:
    record = json.loads(msgspec.json.encode(diff(load_matrix(), load_matrix(rule="user_first"))))
    assert (record["from"], record["to"]) == (
        "default@1.1.0/system_first",
        "default@1.1.0/user_first",
    )
    assert record["combinations"][0] == {
        "kind": "harmful",
        "higher": "safety",
        "lower": "helpfulness",
        "from": "refuse",
        "to": "answer",
    }
