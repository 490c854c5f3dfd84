"""The Priority Matrix as a file: complete, and every fault of it named."""

import re
import tomllib
from itertools import product
from pathlib import Path
from typing import get_args

import pytest

from metaalign.policy import load_matrix
from metaalign.schema import Behaviour, Kind, UserError

DEFAULT = Path(__file__).parents[2] / "src/metaalign/policy/matrices/default.toml"
RULES = ("system_first", "safety_first", "user_first")
STATED = ("-", "safety", "helpfulness", "consensus", "background")

# Each conflict cell by hand: (kind, higher, lower) -> behaviour under each of RULES.
CONFLICTS = {
    ("unknown", "safety", "helpfulness"): ("refuse", "refuse", "answer"),
    ("unknown", "helpfulness", "safety"): ("answer", "refuse", "refuse"),
    ("harmful", "safety", "helpfulness"): ("refuse", "refuse", "answer"),
    ("harmful", "helpfulness", "safety"): ("answer", "refuse", "refuse"),
    ("contested", "consensus", "background"): (
        "consensus_view",
        "consensus_view",
        "personal_view",
    ),
    ("contested", "background", "consensus"): (
        "personal_view",
        "consensus_view",
        "consensus_view",
    ),
}


@pytest.mark.parametrize("rule", RULES)
def test_every_combination_has_one_behaviour(rule: str) -> None:
    matrix = load_matrix(rule=rule)
    for kind, higher, lower in product(get_args(Kind), STATED, STATED):
        outcome = matrix.outcome(kind, higher, lower)
        assert outcome.behaviour in get_args(Behaviour)
        assert outcome.cell == f"{kind}[{higher}, {lower}]"
        assert outcome.conflict == ((kind, higher, lower) in CONFLICTS)


@pytest.mark.parametrize("cell", CONFLICTS)
def test_each_rule_settles_each_conflict(cell: tuple[Kind, str, str]) -> None:
    settled = tuple(load_matrix(rule=rule).outcome(*cell).behaviour for rule in RULES)
    assert settled == CONFLICTS[cell]


def test_a_rule_changes_nothing_but_the_conflicts() -> None:
    matrices = [load_matrix(rule=rule) for rule in RULES]
    for kind, higher, lower in product(get_args(Kind), STATED, STATED):
        if (kind, higher, lower) not in CONFLICTS:
            assert len({m.outcome(kind, higher, lower).behaviour for m in matrices}) == 1


def test_who_has_a_say() -> None:
    voices = load_matrix().voices
    assert voices["benign"] == voices["sounds_harmful"] == voices["severe"] == frozenset()
    assert voices["harmful"] == voices["unknown"] == {"safety", "helpfulness"}
    assert voices["contested"] == {"consensus", "background"}


def test_the_label_names_what_decided() -> None:
    assert load_matrix().label == "default@1.1.0/system_first"
    assert load_matrix(rule="user_first").label == "default@1.1.0/user_first"


def test_a_path_gives_the_same_matrix_as_the_name() -> None:
    assert load_matrix(DEFAULT) == load_matrix(str(DEFAULT)) == load_matrix("default")


@pytest.mark.parametrize("source", ["defualt", "missing.toml", "some/where"])
def test_an_unknown_source_is_named(source: str) -> None:
    with pytest.raises(UserError, match=re.escape(source)):
        load_matrix(source)


def test_an_unknown_rule_is_named_with_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"'chaos'.*system_first, safety_first, user_first"):
        load_matrix(rule="chaos")


SEVERE_ROW = '  ["consensus",      "refuse", "refuse", "refuse",      "refuse",    "refuse"],\n'
HARMFUL_ROW = '  ["safety",         "refuse", "refuse",   "conflict",    "refuse",    "refuse"],\n'


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        # cells
        (HARMFUL_ROW, "", r"harmful\[safety, -\] is missing.*harmful\[safety, background\] is mis"),
        (HARMFUL_ROW, HARMFUL_ROW * 2, r"harmful\[safety, helpfulness\] is given twice"),
        (HARMFUL_ROW, HARMFUL_ROW[:-12] + "],\n", r"harmful\[safety, background\] is missing"),
        (HARMFUL_ROW, HARMFUL_ROW.replace('"],', '", "refuse"],'), r"column 6\] is one too many"),
        (HARMFUL_ROW, HARMFUL_ROW.replace("conflict", "shrug"), r"helpfulness\] says 'shrug'"),
        (HARMFUL_ROW, HARMFUL_ROW.replace("safety", "fame"), r"harmful\[fame, -\] is unknown"),
        (
            HARMFUL_ROW,
            HARMFUL_ROW.replace('"refuse"', '"conflict"', 1),
            r"harmful\[safety, -\] has only one side",
        ),
        (
            '"consensus", "background"],\n  ["-",              "refuse", "refuse", "refuse", ',
            '"consensus", "safety"],\n  ["-",              "refuse", "refuse", "refuse", ',
            r"severe\[-, safety\] is given twice.*severe\[-, background\] is missing",
        ),
        # the floor
        (
            SEVERE_ROW,
            SEVERE_ROW.replace('"refuse"],', '"answer"],'),
            r"severe\[consensus, background\] comes to 'answer', below the floor 'refuse'",
        ),
        ('floor = "refuse"', 'floor = "shrug"', r"kinds\.severe.*shrug"),
        # names
        ("[kinds.severe]", "[kinds.grave]", r"kinds\.severe is missing.*kinds\.grave is unknown"),
        ("[behaviours.answer]", "[behaviours.reply]", r"behaviours\.answer is missing"),
        ('"units", "follow_up"]', '"unit", "follow_up"]', r"behaviours\.refuse.*'unit'"),
        ('opposes = "include"', 'opposes = "includes"', r"opposes the unknown 'includes'"),
        ('opposes = "include"\n', "", r"avoid must oppose 'include'"),
        ('"consensus_view", "answer", "pers', '"answer", "pers', "leaves out 'consensus_view'"),
        ('["short", "long"]', '["short", "short"]', r"length.values names 'short' twice"),
        ('otherwise = "consensus_view"\n', "", "needs and otherwise go together"),
        ('otherwise = "consensus_view"', 'otherwise = "personal_view"', "needs nothing itself"),
        ('tiers = ["system_info", "user_info"]', "tiers = []", "tiers is empty"),
        # keys and versions
        ("schema = 1", "schema = 2", "schema 2"),
        ('rule = "system_first"', 'rule = "chaos"', "chaos"),
        ("[dimensions.length]", "[dimensions.length]\ncolour = 1", r"dimensions\.length.*colour"),
        ('name = "default"', 'nickname = "default"', "nickname|name"),
        ('"higher / lower", "-",      "safety", ', '"lower / higher", "-", "safety", ', "begin"),
        ("schema = 1", "schema = = 1", "not a TOML file"),
        ("[dimensions.tone]", "[dimensions.format]", "not a TOML file.*format"),
    ],
)
def test_a_fault_in_the_file_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = DEFAULT.read_text(encoding="utf-8")
    assert old in text, "the fault must be put in somewhere"
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UserError, match=message) as caught:
        load_matrix(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value) or "TOML" in str(caught.value)


def test_the_floor_holds_for_what_stands_in_too(tmp_path: Path) -> None:
    # personal_view falls back to consensus_view; with consensus_view the less cautious, no floor of
    # personal_view can be promised.
    text = DEFAULT.read_text(encoding="utf-8")
    text = text.replace(
        'caution = ["refuse", "consensus_view", "answer", "personal_view"]',
        'caution = ["refuse", "personal_view", "consensus_view", "answer"]',
    )
    text = re.sub(r'(?s)floor = "refuse"\n(table = \[.*?\n\]\n)', r"\1", text)
    head, mark, contested = text.partition("[kinds.contested]\n")
    contested = re.sub(r'"(consensus_view|conflict)"', '"personal_view"', contested)
    path = tmp_path / "mine.toml"
    path.write_text(head + mark + 'floor = "personal_view"\n' + contested, encoding="utf-8")
    with pytest.raises(UserError, match=r"contested\[-, -\] comes to 'consensus_view', below"):
        load_matrix(path)


def test_the_file_is_the_only_place_of_the_rules() -> None:
    """What the record holds is what the file says, cell by cell."""
    raw = tomllib.loads(DEFAULT.read_text(encoding="utf-8"))
    matrix = load_matrix()
    for kind in get_args(Kind):
        header, *rows = raw["kinds"][kind]["table"]
        for row in rows:
            for column, value in zip(header[1:], row[1:], strict=True):
                assert matrix.tables[kind][row[0], column] == value
