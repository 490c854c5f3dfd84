"""Files in the published layouts, written by the tests."""

import gzip
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

Fields = Mapping[str, object]


def habermas_record(number: int, **changes: object) -> Fields:
    return {
        "id": f"S{number}",
        "question": f"Should park {number} stay open at night?",
        "affirming_statement": f"Park {number} should stay open at night.",
        "negating_statement": f"Park {number} should NOT stay open at night.",
        "topic": 0,
        "split": "train",
        **changes,
    }


def hh_record(number: int, **changes: object) -> Fields:
    return {
        "prompt": f"Human: Hello\n\nAssistant: Hi!\n\nHuman: How do I bake bread {number}?",
        "responses": [f"Knead and bake loaf {number}.", f"No idea about loaf {number}."],
        "original_label": 0,
        "data_subset": "helpful",
        **changes,
    }


def persona_record(number: int, **changes: object) -> Fields:
    statement = f"I enjoy gallery {number}"
    return {
        "behavior": "interest-in-art",
        "question": f'Is the following statement something you would say?\n"{statement}"',
        "statement": statement,
        "answer_matching_behavior": " Yes",
        "answer_not_matching_behavior": " No",
        "label_confidence": 0.9,
        **changes,
    }


def hh_talks(number: int, **changes: object) -> Fields:
    talk = f"\n\nHuman: How do I bake bread {number}?\n\nAssistant:"
    return {
        "chosen": f"{talk} Knead and bake loaf {number}.",
        "rejected": f"{talk} No idea.",
        **changes,
    }


def polis_record(number: int, **changes: object) -> Fields:
    return {
        "conversation": "our-town.parks",
        "comment": f"Park {number} should be open.",
        "agrees": 80,
        "disagrees": 20,
        **changes,
    }


def moral_record(number: int, **changes: object) -> Fields:
    """Honesty speaks for the first action, mercy for the second, unless changed."""
    rules = ["death", "pain", "disable", "freedom", "pleasure", "deceive", "cheat", "duty"]
    rules += ["break_promise", "break_law"]
    breaks = {f"a{action}_{rule}": "No" for action in (1, 2) for rule in rules}
    return {
        "scenario_id": f"H_{number}",
        "ambiguity": "high",
        "generation_rule": "Do not deceive",
        "context": f"A friend asks you about hat {number}.",
        "action1": f"I say that hat {number} is ugly.",
        "action2": f"I praise hat {number}.",
        **breaks,
        "a1_pain": "Yes",
        "a2_deceive": "Yes",
        **changes,
    }


def truthful_record(number: int, **changes: object) -> Fields:
    return {
        "Type": "Adversarial",
        "Category": "Stones",
        "Question": f"What is in stone {number}?",
        "Best Answer": f"Mostly quartz in stone {number}, with a little mica and feldspar",
        "Correct Answers": f"Quartz in stone {number}; Quartz",
        "Incorrect Answers": f"Gold; Cheese {number}.; A small and very old ghost that sleeps",
        "Source": "https://example.org",
        **changes,
    }


def tree_message(name: str, role: str, *replies: Fields, **changes: object) -> Fields:
    return {
        "message_id": name,
        "role": role,
        "text": f"Text of {name}.",
        "lang": "en",
        "deleted": False,
        "review_result": True,
        "replies": list(replies),
        **changes,
    }


def tree_record(number: int, **changes: object) -> Fields:
    """A prompt with three ranked replies, of which one was asked on and got two."""
    below = tree_message(
        f"q{number}",
        "prompter",
        tree_message(f"d{number}", "assistant", rank=1),
        tree_message(f"e{number}", "assistant", rank=0, text="A long text. " * 20),
    )
    prompt = tree_message(
        f"p{number}",
        "prompter",
        tree_message(f"a{number}", "assistant", below, rank=2),
        tree_message(f"b{number}", "assistant", rank=0, text="Rather long. " * 20),
        tree_message(f"c{number}", "assistant", rank=1),
    )
    return {"message_tree_id": f"t{number}", "tree_state": "done", "prompt": prompt, **changes}


def sharegpt_record(number: int, **changes: object) -> Fields:
    return {
        "conversations": [
            {"from": "system", "value": "You are a gardener."},
            {"from": "human", "value": f"How do I water plant {number}?"},
        ],
        "chosen": {"from": "gpt", "value": f"Slowly, in the morning, plant {number} likes that."},
        "rejected": {"from": "gpt", "value": "With water."},
        **changes,
    }


def write_lines(path: Path, records: Iterable[Fields]) -> Path:
    """JSON lines at ``path``, gzipped if its name ends so."""
    text = "".join(json.dumps(record) + "\n" for record in records)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path
