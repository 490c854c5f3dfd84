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


def write_lines(path: Path, records: Iterable[Fields]) -> Path:
    """JSON lines at ``path``, gzipped if its name ends so."""
    text = "".join(json.dumps(record) + "\n" for record in records)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path
