"""The Priority Matrix as a file: complete, and every fault of it named."""

import re
import tomllib
from itertools import product
from pathlib import Path
from typing import get_args

import pytest
from tests.policy.makers import SHIPPED

from metaalign.policy import PriorityMatrix, load_matrix
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


@pytest.mark.parametrize("matrix", SHIPPED, ids=lambda matrix: matrix.label)
def test_every_combination_has_one_behaviour(matrix: PriorityMatrix) -> None:
    for kind, higher, lower in product(get_args(Kind), STATED, STATED):
        outcome = matrix.outcome(kind, higher, lower)
        assert outcome.behaviour in get_args(Behaviour)
        assert outcome.cell == f"{kind}[{higher}, {lower}]"
        assert outcome.conflict == ((kind, higher, lower) in CONFLICTS)


def test_the_file_says_how_many_of_its_cells_are_a_choice() -> None:
    counts = load_matrix().counts
    assert (counts["cell"], counts["conflict"]) == (150, len(CONFLICTS))
    head = DEFAULT.read_text(encoding="utf-8").partition("schema =")[0]
    assert f"{150 - len(CONFLICTS)} of the 150 cells" in head
    for kind, higher, lower in CONFLICTS:
        assert re.search(rf"#   {kind} .*{higher} against {lower}", head)


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
        ('talk = "user_info"', 'talk = "crowd"', "talk is 'crowd', which is not among tiers"),
        (
            '"ordered"\nvalues = ["none", "mild", "allowed"]',
            '"ordered"',
            "profanity is ordered and",
        ),
        ('["none", "mild", "allowed"]', '["none"]', "profanity is ordered and needs its values"),
        ('conflict = "ordered"', 'conflict = "ordered"\nopposes = "avoid"', "avoid must oppose"),
        # keys and versions
        ("schema = 1", "schema = 99", "schema 99"),
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


# ---- the content hash ----------------------------------------------------------------------------


def test_the_hash_is_of_what_decides(tmp_path: Path) -> None:
    text = DEFAULT.read_text(encoding="utf-8")
    path = tmp_path / "mine.toml"

    def hashed(old: str, new: str) -> str:
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")
        return load_matrix(path).content_hash

    same = load_matrix().content_hash
    assert re.fullmatch("[0-9a-f]{64}", same)
    assert hashed('name = "default"', 'name = "mine"') == same
    assert hashed("# Who speaks", "# Who says something") == same
    assert hashed('rule = "system_first"', 'rule = "user_first"') != same
    assert load_matrix(rule="user_first").content_hash == hashed("system_first", "user_first")
    assert hashed('talk = "user_info"', 'talk = "system_info"') != same
    assert hashed('["short", "long"]', '["long", "short"]') != same
    assert hashed('floor = "refuse"', 'floor = "consensus_view"') != same
    assert hashed(HARMFUL_ROW, HARMFUL_ROW.replace("conflict", "refuse")) != same


# ---- files that extend others --------------------------------------------------------------------

OWN = 'name = "mine"\nversion = "1"\n'


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_that_extends_gives_only_what_differs(tmp_path: Path) -> None:
    text = 'extends = "default"\n' + OWN + '[dimensions.length]\nconflict = "exclusive"\n'
    text += '[dimensions.colour]\nconflict = "additive"\n[behaviours.refuse]\nlifts = ["colour"]\n'
    mine, default = load_matrix(write(tmp_path, "mine.toml", text)), load_matrix()
    assert mine.label == "mine@1/system_first"
    # An entry is replaced whole and stays in its place; what is new comes last.
    assert list(mine.dimensions) == [*default.dimensions, "colour"]
    assert mine.dimensions["length"].values == ()
    assert mine.behaviours["refuse"].lifts == ("colour",)
    assert mine.behaviours["answer"] == default.behaviours["answer"]
    assert (mine.tables, mine.tiers, mine.talk) == (default.tables, default.tiers, default.talk)


def test_a_file_extends_one_beside_it_which_extends_another(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    write(tmp_path, "base.toml", 'extends = "organisation"\nrule = "user_first"\n' + OWN)
    path = write(tmp_path / "below", "mine.toml", 'extends = "../base.toml"\n' + OWN)
    assert load_matrix(path).tiers == load_matrix("organisation").tiers
    assert load_matrix(path).rule == "user_first"


def test_the_organisation_matrix_differs_from_the_default_in_its_tiers_alone() -> None:
    mine, default = load_matrix("organisation"), load_matrix()
    assert mine.tiers == ("system_info", "organisation_info", "team_info", "user_info")
    assert (mine.tables, mine.dimensions, mine.floors) == (
        default.tables,
        default.dimensions,
        default.floors,
    )


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a": 'extends = "defualt"\n' + OWN}, r"a\.toml: extends: .*'defualt'.*default"),
        ({"a": 'extends = "b.toml"\n' + OWN}, r"a\.toml: extends: cannot read .*b\.toml"),
        ({"a": "extends = 3\n" + OWN}, r"a\.toml: extends must be the name"),
        ({"a": 'extends = "default"\nname = "x"\n'}, r"a\.toml: version missing"),
        ({"a": 'extends = "default"\n'}, r"a\.toml: name and version missing"),
        ({"a": 'extends = "a.toml"\n' + OWN}, r"a\.toml: extends goes round.*a\.toml -> .*a\.toml"),
        (
            {"a": 'extends = "b.toml"\n' + OWN, "b": 'extends = "a.toml"\n' + OWN},
            r"a\.toml: extends goes round in a circle: .*a\.toml -> .*b\.toml -> .*a\.toml$",
        ),
        # what is wrong with the base is told with the name of the base
        (
            {"a": 'extends = "b.toml"\n' + OWN, "b": 'extends = "default"\ntiers = []\n' + OWN},
            r"^\S*b\.toml: tiers is empty",
        ),
        (
            {"a": 'extends = "default"\n' + OWN + "[kinds.benign]\ntable = []\n"},
            r"a\.toml: .*the cell benign\[-, -\] is missing",
        ),
        ({"a": 'extends = "default"\nkinds = 3\n' + OWN}, r"a\.toml: .*kinds"),
        ({"a": 'extends = "default"\nschema = 9\n' + OWN}, r"a\.toml has schema 9"),
        ({"a": 'extends = "default"\ncolour = 1\n' + OWN}, r"a\.toml: .*colour"),
    ],
)
def test_a_fault_in_what_extends_is_named(
    tmp_path: Path, files: dict[str, str], message: str
) -> None:
    for name, text in files.items():
        write(tmp_path, f"{name}.toml", text)
    with pytest.raises(UserError, match=message):
        load_matrix(tmp_path / "a.toml")
