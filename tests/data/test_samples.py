"""Which samples a group gives, and what a set of groups holds in numbers."""

from hypothesis import given
from tests.data.makers import groups, make_group

from metaalign.data.samples import Census, distinct_preferences, normalised, samples_of
from metaalign.schema import USER_INFO, Candidate, Group, MetaPrompt, Preference, Turn, View


def _view(*ranks: int | None, user_info: str = "") -> View:
    return View(MetaPrompt.of(user_info=user_info), ranks, "rule")


def _group(*views: View) -> Group:
    texts = "abcd"[: len(views[0].ranks)]
    return make_group("g", candidates=tuple(Candidate(t, "rule") for t in texts), views=views)


def _pairs(group: Group) -> list[tuple[int, str, str]]:
    return [(s.view, s.chosen, s.rejected) for s in samples_of(group)]


def test_a_flip_gives_both_directions() -> None:
    assert _pairs(_group(_view(0, 1), _view(1, 0))) == [(0, "a", "b"), (1, "b", "a")]


def test_rejected_is_what_another_view_prefers_before_what_is_worst() -> None:
    # For view 0, c is the worst; but b is what view 1 prefers to a.
    group = _group(_view(0, 1, 2), _view(1, 0, 2))
    assert _pairs(group) == [(0, "a", "b"), (1, "b", "a")]


def test_rejected_is_what_most_other_views_prefer() -> None:
    # b stands before a in one other view, c in two.
    group = _group(_view(0, 2, 1), _view(1, 0, 0), _view(1, 2, 0))
    assert _pairs(group)[0] == (0, "a", "c")


def test_without_a_flip_the_best_meets_the_worst() -> None:
    assert _pairs(_group(_view(1, 0, 3, 2))) == [(0, "b", "c")]
    # The same order twice is no flip either.
    assert _pairs(_group(_view(1, 0, 2), _view(1, 0, 2))) == [(0, "b", "c"), (1, "b", "c")]


def test_of_equals_the_first_listed_is_taken() -> None:
    assert _pairs(_group(_view(1, 0, 0, 1))) == [(0, "b", "a")]


def test_unordered_candidates_are_never_used() -> None:
    assert _pairs(_group(_view(None, 1, 0))) == [(0, "c", "b")]


def test_a_view_that_orders_nothing_gives_no_sample_and_is_counted() -> None:
    group = _group(_view(0, 0), _view(None, None), _view(0, 1))
    assert _pairs(group) == [(2, "a", "b")]
    census = Census()
    census.add(group, "test")
    assert census.counts()["views_that_order_nothing"] == 2
    assert census.counts()["samples.test"] == census.counts()["samples"] == 1


def test_a_sample_carries_what_its_group_says() -> None:
    group = make_group("g", family="opinion", kind="contested", turns=(Turn("user", "Why?"),))
    sample = next(samples_of(group))
    assert (sample.group_id, sample.source, sample.family) == ("g", "made", "opinion")
    assert (sample.kind, sample.turns) == ("contested", group.turns)
    assert sample.meta_prompt == group.views[0].meta_prompt
    assert sample.dialogue == group.dialogue(group.views[0])


@given(groups("any"))
def test_every_sample_is_a_pair_that_its_view_orders(group: Group) -> None:
    samples = list(samples_of(group))
    assert [s.view for s in samples] == [i for i, v in enumerate(group.views) if v.pairs()]
    for sample in samples:
        view = group.views[sample.view]
        ordered = {
            (group.candidates[i].text, group.candidates[j].text)
            for i, j in view.pairs()
            if view.ranks[i] == min(r for r in view.ranks if r is not None)
        }
        assert (sample.chosen, sample.rejected) in ordered
    assert samples == list(samples_of(group))


def test_distinct_preferences_are_counted_once() -> None:
    def ask(value: str, wording: str) -> View:
        preference = Preference(USER_INFO, "length", value, wording)
        return View(MetaPrompt.of(user_info=wording), (0, 1), "rule", (preference,))

    counts = distinct_preferences(
        [
            make_group("a", views=(ask("short", "Be brief!"), ask("short", "be  BRIEF"))),
            make_group("b", views=(ask("short", "Keep it short."), ask("long", "be brief"))),
        ]
    )
    # (length, short) and (length, long); "be brief" and "keep it short".
    assert counts == {"distinct_preferences": 2, "distinct_wordings": 2}
    assert distinct_preferences([]) == {"distinct_preferences": 0, "distinct_wordings": 0}


def test_normalised_keeps_words_of_every_language() -> None:
    assert (
        normalised("  Réponds, s’il te plaît: EN FRANÇAIS! ") == "réponds s il te plaît en français"
    )


def test_a_census_counts_flips_by_hand() -> None:
    census = Census()
    census.add(_group(_view(0, 1, 2), _view(2, 1, 0)), "sft")  # ab, ac, bc all flip
    census.add(make_group("h", source="made"), "test")
    counts = census.counts()
    assert counts["flips"] == 4
    assert (counts["groups.sft"], counts["groups.test"], counts["groups"]) == (1, 1, 2)
    assert counts["source.made"] == counts["family.helpful"] == counts["kind.benign"] == 4
