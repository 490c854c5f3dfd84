"""Polis statements: what most people said, that they are divided, or what this person says."""

from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.data.families.material import about_half, best, settled
from tests.data.makers import real_file
from tests.data.sources.published import Fields, polis_record, write_lines
from tests.data.sources.shortcuts import assert_no_shortcut

from metaalign.data.families.wordings import wordings
from metaalign.data.sources import SOURCES, Skipped
from metaalign.schema import Group, UserError, View

read = SOURCES["polis"].read
YES, NO, DIVIDED = range(3)


def _read(tmp_path: Path, *records: Fields) -> list[Group]:
    return list(read(write_lines(tmp_path / "x.jsonl", records)))


def answer(group: Group, view: View) -> int:
    """Whether the best answer is yes, no, or that people are divided."""
    (place,) = [
        found.index(best(group, view))
        for found in wordings().answers["stance"]
        if best(group, view) in found
    ]
    return place


def asked_for(group: Group) -> bool:
    """Whether the query asks if the statement is to be supported, and not opposed."""
    told = ("supported?", "right?", "vote for it?", "endorsed?")
    return group.turns[-1].text.endswith(told)


@pytest.mark.parametrize(
    ("agrees", "disagrees", "expected"), [(80, 20, YES), (20, 80, NO), (60, 40, DIVIDED)]
)
def test_the_votes_are_the_consensus(
    tmp_path: Path, agrees: int, disagrees: int, expected: int
) -> None:
    records = [polis_record(i, agrees=agrees, disagrees=disagrees) for i in range(150)]
    groups = [g for g in _read(tmp_path, *records) if g.family == "consensus"]
    assert 90 < len(groups) < 150
    for group in groups:
        assert group.kind == "contested" and len(group.candidates) == 3 and group.flips()
        for view in group.views:
            found = answer(group, view)
            if settled(group, view).behaviour == "consensus_view":
                turned = {YES: NO, NO: YES, DIVIDED: DIVIDED}[expected]
                assert found == (expected if asked_for(group) else turned)
            else:
                (stance,) = [p.value for p in view.preferences if p.dimension == "background"]
                assert found == (YES if (stance == "supports") == asked_for(group) else NO)


def test_what_is_asked_is_drawn_and_no_statement_is_read_as_a_template(tmp_path: Path) -> None:
    text = "Keep {topic} and {statement} {0}."
    groups = _read(tmp_path, *(polis_record(i, comment=f"{text} {i}") for i in range(400)))
    assert about_half(sum(map(asked_for, groups)), 400)
    for group in groups:
        assert text in group.turns[-1].text and "our town parks" in group.turns[-1].text


def test_the_comments_file_as_published(tmp_path: Path) -> None:
    folder = tmp_path / "football-concussions"
    folder.mkdir()
    path = folder / "comments.csv"
    path.write_text(
        "timestamp,comment-id,author-id,agrees,disagrees,moderated,comment-body\n"
        '1,0,7,40,10,1,"Helmets help, mostly."\n'
        "2,1,7,40,10,-1,Rejected.\n"
        "3,2,8,9,10,0,Seen by few.\n"
    )
    skipped = Skipped()
    (group,) = read(path, skipped=skipped)
    assert "football concussions" in group.turns[-1].text
    assert '"Helmets help, mostly."' in group.turns[-1].text
    assert skipped == {
        "the statement was rejected by a moderator": 1,
        "fewer than 20 people voted": 1,
    }


def test_what_is_left_out_is_counted_and_a_missing_field_named(tmp_path: Path) -> None:
    skipped = Skipped()
    records = [polis_record(1), polis_record(1), polis_record(2, comment=" ")]
    assert len(list(read(write_lines(tmp_path / "x.jsonl", records), skipped=skipped))) == 1
    assert skipped == {"the same statement was there before": 1, "the statement is empty": 1}
    for field in ("agrees", "disagrees", "comment"):
        record = {k: v for k, v in polis_record(2).items() if k != field}
        with pytest.raises(UserError, match=f"line 2: .*`{field}`"):
            _read(tmp_path, polis_record(1), record)


def test_on_the_real_statements_no_shortcut_finds_the_answer() -> None:
    skipped = Skipped()
    groups = list(read(real_file("polis_comments.jsonl.gz"), skipped=skipped))
    assert len(groups) + skipped.total() == 2056
    assert len(groups) > 1900 and all(group.flips() for group in groups)
    # "Divided" is longer and mostly in the middle; between yes and no nothing tells.
    assert_no_shortcut([_yes_or_no(group) for group in groups], within=0.04)


def _yes_or_no(group: Group) -> Group:
    """The group of a statement without the third answer, as far as the flips go."""
    third = {answers[DIVIDED] for answers in wordings().answers["stance"]}
    views = tuple(
        replace(
            view,
            ranks=tuple(
                None if c.text in third else r
                for c, r in zip(group.candidates, view.ranks, strict=True)
            ),
        )
        for view in group.views
    )
    return replace(group, views=views)
