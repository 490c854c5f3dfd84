"""Groups that say the same as another."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.makers import groups, make_group

from metaalign.data.filters.exact import ExactDuplicates
from metaalign.schema import Candidate, Group

STAGE = ExactDuplicates()


def dropped(*made: Group) -> dict[str, str]:
    signed = zip([group.id for group in made], STAGE.sign(made), strict=True)
    return STAGE.decide(sorted(signed))


def test_the_first_by_id_is_kept_and_the_others_name_it() -> None:
    made = [make_group(name, "What is rain?") for name in ("c", "a", "b")]
    assert dropped(*made, make_group("d", "What is snow?")) == {
        "b": "exact duplicate: a",
        "c": "exact duplicate: a",
    }


def test_case_and_space_do_not_count_but_punctuation_does() -> None:
    assert dropped(make_group("a", "Is  it\nSO?"), make_group("b", "is it so?")) != {}
    assert dropped(make_group("a", "Is it 2+2?"), make_group("b", "Is it 2-2?")) == {}


def test_candidates_listed_in_another_order_are_the_same_if_their_ranks_follow() -> None:
    one = make_group("a", "What is rain?")
    swapped = make_group(
        "b", "What is rain?", candidates=one.candidates[::-1], views=one.views[::-1]
    )
    # The two views of the maker rank (0, 1) and (1, 0): with the candidates turned round, each
    # Meta-Prompt now likes what it did not like before.
    assert dropped(one, swapped) == {}


@settings(deadline=None)
@given(first=groups("a"), data=st.data())
def test_whatever_is_in_it_a_copy_is_always_found(first: Group, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(first.candidates))))
    texts = [candidate.text.casefold() for candidate in first.candidates]
    if len({" ".join(text.split()) for text in texts}) < len(texts):
        order = list(range(len(texts)))  # equal texts cannot be told apart by their text
    copy = Group(
        id="b",
        source="elsewhere",
        family=first.family,
        kind=first.kind,
        turns=first.turns,
        candidates=tuple(Candidate(first.candidates[i].text, "other") for i in order),
        views=tuple(
            type(view)(view.meta_prompt, tuple(view.ranks[i] for i in order), "other")
            for view in data.draw(st.permutations(first.views))
        ),
    )
    assert dropped(first, copy) == {"b": "exact duplicate: a"}


@settings(deadline=None)
@given(made=st.lists(st.integers(0, 5), max_size=30))
def test_of_every_kind_one_is_left(made: list[int]) -> None:
    found = [make_group(f"g{i:02}", f"Question {n}") for i, n in enumerate(made)]
    assert len(found) - len(dropped(*found)) == len(set(made))
