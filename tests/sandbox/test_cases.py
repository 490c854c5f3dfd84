"""Edge cases: what they say is what they claim to say."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from metaalign.policy import load_matrix, resolve
from metaalign.sandbox.case_kinds import KINDS
from metaalign.sandbox.cases import (
    Case,
    build_cases,
    describe,
    kinds_for,
    read_cases,
    verify_case,
    write_cases,
)
from metaalign.sandbox.drafts import CLOSED, phrasings
from metaalign.sandbox.world import load_world
from metaalign.sandbox.writing import write_answer
from metaalign.schema import (
    SYSTEM_INFO,
    USER_INFO,
    Ambiguity,
    Decision,
    Preference,
    Resolution,
    UserError,
)

MATRIX = load_matrix()
ORGANISATION = load_matrix("organisation")
WORLD = load_world()


@pytest.fixture(scope="module")
def suite() -> list[Case]:
    return build_cases(MATRIX, per_kind=20, seed=0)


def of(suite: list[Case], name: str) -> list[Case]:
    return [case for case in suite if case.name == name]


def answered(case: Case, resolution: Resolution) -> str:
    """What somebody writes who takes ``resolution`` for the right one."""
    return write_answer(WORLD.query(case.group.kind, case.group.query_id), resolution, WORLD)


def decided(case: Case, dimension: str) -> Decision:
    [decision] = [d for d in case.resolution.decisions if d.dimension == dimension]
    return decision


# --- the suite as a whole ---


def test_there_are_at_least_twelve_kinds_each_with_a_name_a_count_and_a_sentence(
    suite: list[Case],
) -> None:
    counts = Counter(case.name for case in suite)
    assert len(counts) >= 12
    assert set(counts.values()) == {20}
    for about in {case.about for case in suite}:
        assert re.fullmatch(r"[A-Z][^.]+\.", about)
    assert len({case.about for case in suite}) == len(counts)
    assert len({case.group.id for case in suite}) == len(suite)


def test_the_seed_decides_everything_and_cases_do_not_depend_on_each_other(
    suite: list[Case],
) -> None:
    assert build_cases(MATRIX, per_kind=20, seed=0) == suite
    assert build_cases(MATRIX, per_kind=20, seed=1) != suite
    few = build_cases(MATRIX, per_kind=3, seed=0, kinds=["hedged", "hedged", "quoted"])
    assert few == [*of(suite, "hedged")[:3], *of(suite, "quoted")[:3]]


@pytest.mark.parametrize("rule", ["system_first", "user_first", "safety_first"])
@pytest.mark.parametrize("name", ["default", "organisation"])
def test_what_is_expected_is_what_the_matrix_gives(name: str, rule: str) -> None:
    matrix = load_matrix(name, rule)
    for case in build_cases(matrix, per_kind=3):
        given = resolve(case.preferences, case.group.kind, matrix, ambiguous=case.ambiguous)
        assert case.resolution == given


def test_another_conflict_rule_changes_what_is_expected() -> None:
    def behaviours(rule: str) -> list[str]:
        cases = build_cases(load_matrix("default", rule), kinds=["priorities-contradict"])
        return [case.resolution.behaviour for case in cases]

    assert behaviours("system_first") != behaviours("user_first")


def test_every_wish_stands_where_it_says(suite: list[Case]) -> None:
    for case in suite:
        told: list[Preference | Ambiguity] = [*case.preferences, *case.ambiguous]
        for said in told:
            text = case.view.meta_prompt.text(said.tier)
            if said.turn is not None:
                text = case.group.turns[said.turn].text
                assert case.group.turns[said.turn].role == "user"
            assert said.span
            assert text[slice(*said.span)] == said.wording


def test_no_slot_is_left_open(suite: list[Case]) -> None:
    for case in suite:
        texts = [tier.text for tier in case.view.meta_prompt.tiers]
        texts += [turn.text for turn in case.group.turns]
        assert not any(re.search(r"[{}]|\.\.", text) for text in texts)


# --- what single kinds mean ---


def test_a_negated_wish_asks_for_the_only_other_value(suite: list[Case]) -> None:
    """What is ruled out is named in the sentence, and what is asked for is not."""
    words = {
        "short": r"short|brief",
        "long": r"long|thorough",
        "beginner": "beginner",
        "expert": "expert",
        "metric": r"metric|metres",
        "imperial": r"imperial|feet",
    }
    for key, texts in phrasings().negated.items():
        dimension, _, value = key.partition(".")
        if value in words:
            [other] = [v for v in CLOSED[dimension] if v != value]
            for text in texts:
                assert re.search(words[other], text)
                assert not re.search(words[value], text)
    for case in of(suite, "negated"):
        assert any(re.search(r"\b(not|never)\b", p.wording, re.I) for p in case.preferences)


def test_what_is_only_quoted_is_asked_for_by_nobody(suite: list[Case]) -> None:
    for case in of(suite, "quoted"):
        said = " ".join(tier.text for tier in case.view.meta_prompt.tiers)
        [quotation] = re.findall('"(.+)"', said)
        assert all(quotation not in p.wording for p in case.preferences)
        assert len(case.preferences) in (2, 3)


def test_a_condition_holds_if_and_only_if_it_is_true_of_the_query(suite: list[Case]) -> None:
    form = re.compile(
        r"(If|When|Whenever|Unless) the question is (not )?about (.+?), (?=\w)", re.IGNORECASE
    )
    seen: Counter[tuple[str, bool]] = Counter()
    for case in [*of(suite, "condition-true"), *of(suite, "condition-false")]:
        said = " ".join(tier.text for tier in case.view.meta_prompt.tiers)
        query = WORLD.query("benign", case.group.query_id)
        [match] = form.finditer(said)
        # "unless" and "not" each turn the condition round.
        turned = (match[1].lower() == "unless") != bool(match[2])
        topic = re.escape(query.topic)
        same = re.match(rf"{topic}, ", said[match.start(3) :]) is not None
        asked = any(form.search(p.wording) for p in case.preferences)
        assert asked == (same != turned)
        seen[case.name, turned] += 1
    assert len(seen) == 4  # both kinds in both forms


OPEN_KINDS = ("condition-open", "hedged", "either-way")


def test_nothing_is_decided_from_what_is_open(suite: list[Case]) -> None:
    for name in OPEN_KINDS:
        for case in of(suite, name):
            [unsure] = case.ambiguous
            assert case.resolution.ambiguous == (unsure,)
            clear = [p for p in case.preferences if p.dimension == unsure.dimension]
            settled = [d for d in case.resolution.decisions if d.dimension == unsure.dimension]
            assert len(clear) == len(settled) <= 1
            assert all(p.wording != unsure.wording for p in case.preferences)


def test_what_is_open_may_be_done_or_left_but_nothing_else() -> None:
    """The verifier neither demands nor forbids it; what nobody spoke of stays forbidden."""
    found: defaultdict[str, int] = defaultdict(int)
    for case in build_cases(MATRIX, per_kind=80, kinds=OPEN_KINDS):
        [unsure] = case.ambiguous
        dimension = unsure.dimension
        if any(d.dimension == dimension for d in case.resolution.decisions):
            continue
        if dimension in CLOSED:
            values = list(CLOSED[dimension])
        else:
            words = WORLD.seen.openings if dimension == "opening" else WORLD.seen.names
            values = [v for v in words if re.search(rf"\b{v}\b", unsure.wording)][:1]
        for value in values:
            decisions = (*case.resolution.decisions, Decision(dimension, value, USER_INFO, "x"))
            done = msgspec.structs.replace(case.resolution, decisions=decisions)
            assert verify_case(case, answered(case, done)).obeyed, (unsure, value)
            closed = msgspec.structs.replace(case, resolution=without_open(case))
            found[dimension] += not verify_case(closed, answered(case, done)).obeyed
        sure = Decision("include", "moon-boat", USER_INFO, "x")
        decisions = (*case.resolution.decisions, sure)
        if not any(d.dimension == "include" for d in case.resolution.decisions):
            more = msgspec.structs.replace(case.resolution, decisions=decisions)
            assert not verify_case(case, answered(case, more)).obeyed
    # Where it is not open, a piece that nobody asked for is a fault.
    assert all(found[d] for d in ("tone", "audience", "units", "follow_up", "opening", "sign_off"))


def test_what_is_open_beside_a_clear_wish_is_no_leave_to_do_both() -> None:
    checked = 0
    for case in build_cases(MATRIX, per_kind=80, kinds=["hedged"]):
        [unsure] = case.ambiguous
        settled = [d for d in case.resolution.decisions if d.dimension == unsure.dimension]
        if unsure.dimension != "sign_off" or not settled:
            continue
        [half] = [v for v in WORLD.seen.names if re.search(rf"\b{v}\b", unsure.wording)]
        wish = f"Yours, {settled[0].value}"
        assert case.expected.endswith(wish)
        both = case.expected.replace(wish, f"Yours, {half} {wish}")
        assert not verify_case(case, both).obeyed
        checked += 1
    assert checked


def without_open(case: Case) -> Resolution:
    return msgspec.structs.replace(case.resolution, ambiguous=())


def test_a_clear_wish_holds_beside_half_a_wish_of_its_own_or_a_lower_tier(
    suite: list[Case],
) -> None:
    held = 0
    for case in of(suite, "hedged"):
        [unsure] = case.ambiguous
        for decision in case.resolution.decisions:
            if decision.dimension == unsure.dimension:
                held += 1
                clear = [p for p in case.preferences if p.dimension == unsure.dimension]
                assert [p.value for p in clear] == [decision.value]
                tiers = MATRIX.tiers
                assert tiers.index(decision.tier) <= tiers.index(unsure.tier)
    assert held == 10


@pytest.mark.parametrize("name", ["changed-in-the-talk", "talk-over-user-info"])
def test_what_is_said_later_in_the_talk_holds(name: str, suite: list[Case]) -> None:
    for case in of(suite, name):
        told = [p for p in case.preferences if p.turn is not None]
        last = max(told, key=lambda p: p.turn or 0)
        decision = decided(case, last.dimension)
        assert (decision.value, decision.rule) == (last.value, "later-turn")


def test_a_wish_comes_back_and_holds_again(suite: list[Case]) -> None:
    for case in of(suite, "changed-back"):
        first, second, third = [p for p in case.preferences if p.turn is not None]
        assert first.value == third.value != second.value
        assert decided(case, first.dimension).value == first.value
        assert [turn.role for turn in case.group.turns] == ["user", "assistant"] * 2 + ["user"]


def test_a_higher_tier_holds_whatever_is_said_in_the_talk(suite: list[Case]) -> None:
    for case in of(suite, "talk-under-a-higher-tier"):
        last = [p for p in case.preferences if p.turn is not None][-1]
        decision = decided(case, last.dimension)
        assert decision.tier == SYSTEM_INFO
        assert decision.value != last.value


def test_what_was_asked_for_earlier_still_holds(suite: list[Case]) -> None:
    for case in of(suite, "kept-in-the-talk"):
        [told] = [p for p in case.preferences if p.turn is not None]
        assert told.turn == 0
        assert len(case.group.turns) >= 3
        assert decided(case, told.dimension).value == told.value


def test_earlier_answers_do_what_was_asked_for_up_to_them(suite: list[Case]) -> None:
    """The talk is one that a good assistant had: no earlier answer gives a bad example."""
    for case in of(suite, "changed-back"):
        first, second, _ = [p for p in case.preferences if p.turn is not None]
        if first.dimension == "sign_off":
            assert case.group.turns[1].text.endswith(f"Yours, {first.value}")
            assert case.group.turns[3].text.endswith(f"Yours, {second.value}")


def test_lifted_styles_are_lifted_and_refusals_refuse(suite: list[Case]) -> None:
    for case in of(suite, "lifted-by-refusal"):
        assert case.resolution.behaviour == "refuse"
        assert any(d.rule == "lifted-by-refusal" for d in case.resolution.decisions)
    for case in of(suite, "floor"):
        assert case.resolution.behaviour == "refuse"
    for case in of(suite, "priority-without-say"):
        assert case.resolution.behaviour == "answer"
    for case in of(suite, "background-unknown"):
        assert case.resolution.behaviour == "consensus_view"


# --- more tiers, other matrices ---


def test_a_matrix_of_two_tiers_has_no_cases_of_three_and_says_why() -> None:
    fitting, lacking = kinds_for(MATRIX)
    assert {"three-tiers-contradiction", "four-tiers-contradiction"} <= set(lacking)
    assert "needs 4 tiers" in lacking["four-tiers-contradiction"]
    assert {k.name for k in fitting} | set(lacking) == {k.name for k in KINDS}
    with pytest.raises(UserError, match="it needs 3 tiers"):
        build_cases(MATRIX, kinds=["three-tiers-contradiction"])


def test_three_and_four_stakeholders_in_the_organisation() -> None:
    cases = build_cases(ORGANISATION, per_kind=8)
    assert kinds_for(ORGANISATION)[1] == {}
    for name, count in (("three-tiers-contradiction", 3), ("four-tiers-contradiction", 4)):
        for case in of(cases, name):
            [torn] = [d for d in case.resolution.decisions if d.overridden]
            asked = [p for p in case.preferences if p.dimension == torn.dimension]
            assert len({p.value for p in asked}) == len({p.tier for p in asked}) == count
            highest = min(asked, key=lambda p: ORGANISATION.tiers.index(p.tier))
            assert (torn.value, torn.tier) == (highest.value, highest.tier)
    for case in of(cases, "silent-top-tier"):
        [torn] = [d for d in case.resolution.decisions if d.overridden]
        assert torn.tier in ("organisation_info", "team_info")


def test_a_matrix_without_a_priority_has_no_cases_of_it(tmp_path: Path) -> None:
    """A kind that a matrix has no room for is left out with its reason, and the others are made."""
    silent = tmp_path / "silent.toml"
    silent.write_text('extends = "default"\nname = "silent"\nversion = "1"\ntalk = ""\n')
    matrix = load_matrix(silent)
    _, lacking = kinds_for(matrix)
    assert "counts for nothing" in lacking["changed-in-the-talk"]
    assert "changed-in-the-talk" not in {case.name for case in build_cases(matrix, 1)}


# --- files and errors ---


def test_a_file_of_cases_is_read_back_as_it_was(suite: list[Case], tmp_path: Path) -> None:
    write_cases(suite, tmp_path / "cases.jsonl")
    assert read_cases(tmp_path / "cases.jsonl") == suite
    assert len((tmp_path / "cases.jsonl").read_bytes().splitlines()) == len(suite)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda line: b"{}", "line 1 is no case"),
        (lambda line: line[:-9], "line 1 is no case"),
        (lambda line: line.replace(b'"schema":2', b'"schema":99'), "install a newer metaalign"),
        (lambda line: re.sub(rb'"query_id":"[^"]+"', b'"query_id":"no"', line), "'no'"),
        (lambda line: line + b"\n" + line, "twice"),
        (lambda line: b"", "holds no cases"),
    ],
)
def test_a_damaged_file_is_told_by_its_line(
    change: Callable[[bytes], bytes], said: str, suite: list[Case], tmp_path: Path
) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_bytes(change(msgspec.json.encode(suite[0])))
    with pytest.raises(UserError, match=said):
        read_cases(path)


def test_unknown_kinds_and_numbers_are_refused() -> None:
    with pytest.raises(UserError, match="no kind of case is called 'odd': use within-tier"):
        build_cases(MATRIX, kinds=["odd"])
    with pytest.raises(UserError, match="at least 1 is needed"):
        build_cases(MATRIX, per_kind=0)
    with pytest.raises(UserError, match=r"cannot read .*none"):
        read_cases(Path("none"))


def test_a_case_is_told_with_what_comes_of_it(suite: list[Case]) -> None:
    case = of(suite, "changed-back")[0]
    told = "\n".join(describe(case))
    assert case.group.turns[-1].text in told
    assert f"{case.name}: {case.about}" in told
    assert "it is answered" in told
