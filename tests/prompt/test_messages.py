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


def test_a_tier_without_a_role_is_not_lost_in_silence() -> None:
    dialogue = Dialogue(MetaPrompt((TierText("team", "x"),)), (Turn("user", "q"),))
    with pytest.raises(UserError, match="'team' has no chat role"):
        to_messages(dialogue)
