"""A resolution in sentences that a person can check."""

from pathlib import Path

from hypothesis import given, settings
from tests.policy.makers import KINDS, RULES, neither_side, preferences

from metaalign.policy import explain, load_matrix, resolve
from metaalign.schema import SYSTEM_INFO, USER_INFO, Ambiguity, Kind, Preference


def test_a_refused_query_tells_who_won_and_what_was_lifted() -> None:
    asked = [
        Preference(SYSTEM_INFO, "priority", "safety"),
        Preference(USER_INFO, "priority", "helpfulness"),
        Preference(USER_INFO, "length", "short"),
        Preference(SYSTEM_INFO, "tone", "formal"),
        Preference(USER_INFO, "tone", "playful"),
    ]
    assert explain(resolve(asked, "harmful", load_matrix())) == [
        "The query is harmful: it is refused (cell harmful[safety, helpfulness], a conflict that "
        "system_first settled).",
        "System Info puts safety first, and that won over helpfulness from User Info "
        "(harmful[safety, helpfulness]/system_first).",
        "tone = formal from System Info holds and won over tone = playful from User Info: the "
        "higher tier wins (higher-tier).",
        "length = short from User Info does not apply in a refusal (lifted-by-refusal).",
    ]


def test_what_has_no_say_and_what_a_floor_fixes() -> None:
    asked = [Preference(USER_INFO, "priority", "helpfulness")]
    assert explain(resolve(asked, "benign", load_matrix())) == [
        "The query is benign: it is answered (cell benign[-, helpfulness]).",
        "User Info puts helpfulness first, which has no say in such a query.",
    ]
    assert explain(resolve(asked, "severe", load_matrix())) == [
        "The query is severely harmful: it is refused (cell severe[-, helpfulness]).",
        "User Info puts helpfulness first, which changes nothing: a floor fixes what happens.",
    ]


def test_a_missing_background_is_told() -> None:
    assert explain(resolve([], "contested", load_matrix())) == [
        "The query is contested: the answer gives the view that most people share (cell "
        "contested[-, -]; nothing is known of the background, which the cell's own behaviour "
        "needs)."
    ]


def test_one_tier_that_asks_for_two_things_is_told_so() -> None:
    asked = [
        Preference(SYSTEM_INFO, "include", "moss"),
        Preference(SYSTEM_INFO, "avoid", "moss"),
        Preference(USER_INFO, "avoid", "moss"),
    ]
    assert explain(resolve(asked, "benign", load_matrix()))[1:] == [
        "include = moss from System Info holds and won over avoid = moss from System Info and "
        "avoid = moss from User Info: one tier asked for both, and the first in the order of the "
        "matrix holds; over lower tiers the higher wins (within-tier)."
    ]


def test_what_was_said_later_is_told_so() -> None:
    asked = [
        Preference(SYSTEM_INFO, "tone", "formal"),
        Preference(USER_INFO, "length", "short"),
        Preference(USER_INFO, "length", "long", turn=2),
        Preference(USER_INFO, "format", "bullets", turn=2),
        Preference(USER_INFO, "format", "prose", turn=2),
        Preference(USER_INFO, "format", "numbered"),
    ]
    assert explain(resolve(asked, "benign", load_matrix()))[1:3] == [
        "length = long from User Info holds and won over length = short from User Info: what a "
        "tier says later in the talk supersedes what it said before (later-turn).",
        "format = prose from User Info holds and won over format = bullets from User Info and "
        "format = numbered from User Info: one tier asked for both, and the first in the order of "
        "the matrix holds; what a tier says later in the talk supersedes what it said before "
        "(within-tier).",
    ]


def test_a_tightened_bound_is_told_so() -> None:
    asked = [
        Preference(SYSTEM_INFO, "profanity", "mild"),
        Preference(USER_INFO, "profanity", "none"),
    ]
    assert explain(resolve(asked, "benign", load_matrix()))[1:] == [
        "profanity = none from User Info holds and won over profanity = mild from System Info: a "
        "lower tier may tighten what a higher one asks for, never loosen it (tightened)."
    ]


def test_who_told_the_kind_and_what_was_left_open() -> None:
    left = Ambiguity(USER_INFO, "length", "maybe\n a bit shorter?", "hedged")
    resolution = resolve([], "harmful", load_matrix(), kind_by="a guard", ambiguous=[left])
    assert explain(resolution) == [
        "The query is harmful: it is refused (cell harmful[-, -]; kind told by a guard).",
        'Left open: the length that User Info asks for in "maybe a bit shorter?" (hedged), so '
        "nothing was decided from it.",
    ]


def test_a_cell_that_does_what_neither_side_would_get_is_told_so(tmp_path: Path) -> None:
    asked = [
        Preference(SYSTEM_INFO, "priority", "consensus"),
        Preference(USER_INFO, "priority", "background"),
    ]
    assert explain(resolve(asked, "contested", neither_side(tmp_path)))[1:] == [
        "System Info puts consensus first; the cell also allows for background from User Info "
        "(contested[consensus, background]/both-sides)."
    ]


@settings(max_examples=200, deadline=None)
@given(preferences(), KINDS, RULES)
def test_every_decision_is_told_in_one_sentence(
    asked: list[Preference], kind: Kind, rule: str
) -> None:
    resolution = resolve(asked, kind, load_matrix(rule=rule))
    sentences = explain(resolution)
    assert len(sentences) == 1 + len(resolution.decisions)
    for decision in resolution.decisions:
        assert any(decision.value in sentence for sentence in sentences[1:])
    assert all(s.endswith(".") and "\n" not in s for s in sentences)
