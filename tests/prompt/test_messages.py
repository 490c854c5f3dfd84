"""OpenAI messages and dialogues: one meaning each way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaalign.prompt import from_messages, to_messages
from metaalign.schema import Dialogue, MetaPrompt, TierText, Turn, UserError

turns = st.lists(st.builds(Turn, st.sampled_from(["user", "assistant"]), st.text()), max_size=4)


@given(st.text(), st.text(), turns)
def test_a_dialogue_survives_the_way_through_messages(
    system: str, user: str, talk: list[Turn]
) -> None:
    dialogue = Dialogue(MetaPrompt.of(system, user), tuple(talk))
    assert from_messages(to_messages(dialogue)) == dialogue


def test_messages_of_one_tier_are_joined_wherever_they_stand() -> None:
    dialogue = from_messages(
        [
            {"role": "user", "content": "q"},
            {"role": "system", "content": "one"},
            {"role": "user_info", "content": [{"type": "text", "text": "me"}]},
            {"role": "developer", "content": "two"},
        ],
        user_info="more",
    )
    assert dialogue == Dialogue.ask("q", "one\ntwo", "me\nmore")


@pytest.mark.parametrize(
    ("message", "where"),
    [
        ({"role": "tool", "content": "x"}, r"messages\[0\]\.role: 'tool'"),
        ({"role": "user", "content": None}, r"messages\[0\]\.content"),
        ({"role": "user", "content": [{"type": "image_url"}]}, r"content\[0\].*image_url"),
        ("hello", r"messages\[0\]: not an object"),
    ],
)
def test_what_cannot_be_read_is_named(message: object, where: str) -> None:
    with pytest.raises(UserError, match=where):
        from_messages([message])  # type: ignore[list-item]


def test_a_declared_tier_has_a_role_of_its_own_name() -> None:
    tiers = ("system_info", "team", "user_info")
    dialogue = Dialogue(
        MetaPrompt(
            (TierText("system_info", "s"), TierText("team", "t"), TierText("user_info", "u"))
        ),
        (Turn("user", "q"),),
    )
    messages = to_messages(dialogue)
    assert [m["role"] for m in messages] == ["system", "team", "user_info", "user"]
    assert from_messages(messages, tiers=tiers) == dialogue
    with pytest.raises(UserError, match=r"messages\[1\].role: 'team' is not one of system"):
        from_messages(messages)


def test_more_user_info_comes_after_that_of_the_messages() -> None:
    messages = [{"role": "user", "content": "q"}, {"role": "user_info", "content": "a"}]
    assert from_messages(messages, "b").meta_prompt.user_info == "a\nb"
