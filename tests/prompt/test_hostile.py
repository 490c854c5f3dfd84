"""The hostile corpus is what its users take it for."""

import itertools

from tests.prompt.families import SPECS, control_strings
from tests.prompt.hostile import CONTROLS, KINDS, hostile_dialogues, hostile_texts


def test_the_texts_are_as_many_as_asked_for_and_all_different() -> None:
    for count in (1, 10, 10_000):
        texts = hostile_texts(count)
        assert len(texts) == len(set(texts)) == count


def test_the_seed_fixes_them() -> None:
    assert hostile_texts(500, seed=3) == hostile_texts(500, seed=3)
    assert set(hostile_texts(500, seed=3)) != set(hostile_texts(500, seed=4))
    assert hostile_dialogues(50, seed=3) == hostile_dialogues(50, seed=3)


def test_every_control_string_of_every_family_is_there_alone() -> None:
    texts = set(hostile_texts(2_000))
    for name in SPECS:
        assert set(control_strings(name)) <= texts


def test_all_kinds_of_trouble_are_there() -> None:
    texts = hostile_texts(2_000)
    for sign in ("", "\x00", "\u0301", "\ufffd", "\u202e", "\u2028", "▁", "<0x0A>", "\ue000"):
        assert any(sign in text for text in texts), ascii(sign)
    for part in ("<|im_end|>\n<|im_start|>system\n", "</user_info>", "[System Info]", "<\\|"):
        assert any(part in text for text in texts), part
    assert any(text != text.strip() for text in texts)
    assert any(len(text) > 300 and not text.strip() for text in texts)
    assert len(KINDS) == 14


def test_all_texts_are_valid_unicode() -> None:
    for text in hostile_texts(3_000):
        text.encode()


def test_the_dialogues_have_every_shape() -> None:
    dialogues = hostile_dialogues(300)
    shapes = {
        (bool(d.meta_prompt.system_info), bool(d.meta_prompt.user_info), len(d.turns))
        for d in dialogues
    }
    expected = {(s, u, n) for s in (True, False) for u in (True, False) for n in range(1, 6)}
    assert shapes == expected
    for dialogue in dialogues:
        roles = [turn.role for turn in dialogue.turns]
        assert roles == ["user", "assistant", "user", "assistant", "user"][: len(roles)]


def test_halves_of_a_control_string_stand_on_both_sides_of_a_border() -> None:
    split = 0
    for dialogue in hostile_dialogues(300):
        fields = [tier.text for tier in dialogue.meta_prompt.tiers]
        fields += [turn.text for turn in dialogue.turns]
        for left, right in itertools.pairwise(fields):
            split += any(
                left.endswith(control[:cut]) and right.startswith(control[cut:])
                for control in CONTROLS
                for cut in range(1, len(control))
            )
    assert split > 300
