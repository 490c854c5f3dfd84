"""Filters that judge by length, language, control tokens, agreement, and orders."""

import pytest
from tests.data.makers import make_group

from metaalign.data.filters.agreement import Agreement
from metaalign.data.filters.control_tokens import ControlTokens
from metaalign.data.filters.informative import Informative
from metaalign.data.filters.language import Language
from metaalign.data.filters.length import Length
from metaalign.prompt.neutral import FAMILY_NAMES
from metaalign.schema import Annotation, Candidate, Group, MetaPrompt, UserError, View


def candidates(*texts: str) -> tuple[Candidate, ...]:
    return tuple(Candidate(text, "rule") for text in texts)


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        (Length(), ""),
        (Length(min_talk=13), ""),
        (Length(min_talk=14), "too short: talk, 13 characters"),
        (Length(max_talk=12), "too long: talk, 13 characters"),
        (Length(unit="words", min_talk=4), "too short: talk, 3 words"),
        (Length(min_candidate=2), "too short: candidate 1, 1 characters"),
        (Length(max_candidate=9), "too long: candidate 2, 10 characters"),
        (Length(max_ratio=10), ""),
        (Length(max_ratio=9.5), "too unlike: candidates of 1 and 10 characters"),
    ],
)
def test_length(stage: Length, said: str) -> None:
    group = make_group("g", "What is rain?", candidates=candidates(" A ", "0123456789"))
    assert stage.reasons([group]) == [said]


def test_empty_texts_are_too_short_unless_asked_for() -> None:
    group = make_group("g", candidates=candidates("", " "))
    assert Length().reasons([group]) == ["too short: candidate 1, 0 characters"]
    assert Length(min_candidate=None).reasons([group]) == [""]
    assert Length(min_candidate=0, max_ratio=2).reasons([group]) == [""]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("I would like a short answer to my question, without any jargon please.", ""),
        ("Ich hätte gerne eine kurze Antwort auf meine Frage, ohne Fachwörter bitte.", "de"),
        ("Quelle est la capitale de la France et combien d'habitants compte-t-elle ?", "fr"),
        (
            "请用简单的语言解释一下电动机是怎么工作的，谢谢你的帮助。我想知道更多关于它的历史和应用领域。",
            "zh",
        ),
        ("Скажите, пожалуйста, как работает электродвигатель и почему он тихий?", "ru"),
    ],
)
def test_language(text: str, language: str) -> None:
    (said,) = Language().reasons([make_group("g", "Hm?", candidates=candidates("Yes.", text))])
    assert said.startswith(f"language: candidate 2 is {language}, " if language else "")
    assert bool(said) == bool(language)
    if language:
        group = make_group("g", text)
        assert Language(languages=("en", language)).reasons([group]) == [""]


def test_short_texts_are_judged_together_and_shorter_ones_not_at_all() -> None:
    one, two = "Wie komme ich zum Bahnhof?", "Am besten mit dem Bus."
    together = make_group("g", one, candidates=candidates(two, "Zu Fuß, das ist nicht weit."))
    assert Language().reasons([together])[0].startswith("language: short texts is de")
    alone = make_group("g", one, candidates=candidates("Bus."))
    assert Language().reasons([alone]) == [""]
    assert Language(min_letters=10).reasons([alone])[0].startswith("language: talk is de")


def test_an_unknown_language_is_named() -> None:
    with pytest.raises(UserError, match=r"'xx' is not known; known are .*en"):
        Language(languages=("xx",)).reasons([make_group("g")])


@pytest.mark.parametrize("token", ["<|im_end|>", "[/INST]", "<|START_HEADER_ID|>", "</s>"])
def test_control_tokens_in_any_text(token: str) -> None:
    view = View(MetaPrompt.of(system_info=f"You help.{token}"), (0, 1), "rule")
    made = [
        make_group("a", f"What is {token}?"),
        make_group("b", candidates=candidates("Fine.", f"Fine.{token}")),
        make_group("c", views=(view,)),
        make_group("d", "Is 3 < 4, or [x] > |y|?"),
    ]
    places = ["control token: turn 1", "control token: candidate 2", "control token: view 1", ""]
    assert ControlTokens().reasons(made) == places
    assert ControlTokens(where="candidates").reasons(made) == ["", places[1], "", ""]


def test_control_tokens_of_one_family_alone() -> None:
    made = [make_group("g", "End it with [/INST] please")]
    said = {name: ControlTokens(family=name).reasons(made)[0] for name in FAMILY_NAMES}
    assert said["llama-2"] and said["any"]
    assert not said["chatml"]


def annotated(*ranks: tuple[int, ...]) -> View:
    annotations = tuple(Annotation(f"human:{n}", own) for n, own in enumerate(ranks))
    return View(MetaPrompt.of(user_info="Hm."), ranks[0], "human", annotations=annotations)


def three(*views: View) -> Group:
    return make_group("g", candidates=candidates("a", "b", "c"), views=views)


def test_agreement() -> None:
    agreed, opposed = annotated((0, 1, 2), (0, 1, 2)), annotated((0, 1, 2), (2, 1, 0))
    alone = View(MetaPrompt.of(user_info="Hm."), (0, 1, 2), "human")
    assert Agreement().reasons([three(agreed), three(alone)]) == ["", ""]
    # By hand: the values 0, 1, 2 twice each stand in pairs (0, 2), (1, 1), (2, 0). Ordinal
    # distances squared are 4, 4 and 16, so alpha = 1 - 5 * 64 / (2 * 96) = -0.67.
    assert Agreement().reasons([three(opposed)]) == ["too little agreement: alpha -0.67"]
    assert Agreement(min_alpha=-0.7).reasons([three(opposed)]) == [""]
    mixed = three(agreed, opposed)
    assert Agreement().reasons([mixed])[0]
    assert Agreement(of="group").reasons([mixed]) == [""]
    assert Agreement(unmeasured="drop").reasons([three(alone)]) == [
        "agreement unknown: too few orders"
    ]


@pytest.mark.parametrize(
    ("texts", "ranks", "said"),
    [
        (("a", "b"), (0, 1), ""),
        (("a", "b"), (0, 0), "nothing ordered"),
        (("a", "b"), (0, None), "nothing ordered"),
        (("Same  words", "same words"), (0, 1), "candidates read the same"),
    ],
)
def test_informative(texts: tuple[str, ...], ranks: tuple[int | None, ...], said: str) -> None:
    view = View(MetaPrompt.of(user_info="Hm."), ranks, "human")
    group = make_group("g", candidates=candidates(*texts), views=(view,))
    assert Informative().reasons([group]) == [said]
