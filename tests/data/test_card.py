"""The card says under what a dataset may be used, and programs can read it back."""

from pathlib import Path

import pytest
from huggingface_hub import DatasetCard
from tests.data.makers import make_group, make_groups

from metaalign.data.licences import HEADER_KEY, licences_of, of_the_whole
from metaalign.data.store import write_dataset


def _card(folder: Path, licences: dict[str, str], **more: object) -> str:
    groups = [make_group(f"g{name}", source=name) for name in licences] or make_groups(3)
    write_dataset(
        folder,
        {"sft": groups, "test": []},
        settings=more or {},
        seed=0,
        inputs=dict.fromkeys(licences, "0" * 64),
        sources_licences=licences,
    )
    return (folder / "README.md").read_text()


@pytest.mark.parametrize(
    ("licences", "whole"),
    [
        (["mit"], ["mit"]),
        (["mit", "Apache-2.0"], ["apache-2.0", "mit"]),
        # The strictest decides, and a search for "mit" must not find it.
        (["mit", "cc-by-nc-4.0"], ["cc-by-nc-4.0"]),
        (["cc-by-nc-4.0", "cc-by-nc-sa-4.0"], ["other"]),
        (["cc-by-nc-4.0", "unknown"], ["other"]),
        (["mit", "unknown"], ["unknown"]),
        (["mit", ""], ["unknown"]),
        (["of our own"], ["other"]),
        ([], []),
    ],
)
def test_the_header_names_what_holds_for_the_whole(licences: list[str], whole: list[str]) -> None:
    assert list(of_the_whole(licences)) == whole


def test_the_hub_reads_the_header_and_every_licence_can_be_read_back(tmp_path: Path) -> None:
    licences = {"beavertails": "cc-by-nc-4.0", "habermas": "cc-by-4.0", 'odd ": {name}': "mit"}
    _card(tmp_path / "d", licences)
    data = DatasetCard.load(tmp_path / "d" / "README.md").data.to_dict()
    assert data["license"] == ["cc-by-nc-4.0"]
    assert "non-commercial" in data["tags"]
    assert data["size_categories"] == ["n<1K"]
    assert data[HEADER_KEY] == licences == licences_of(tmp_path / "d")


def test_a_non_commercial_source_marks_the_whole_set_where_it_is_seen(tmp_path: Path) -> None:
    card = _card(tmp_path / "d", {"beavertails": "cc-by-nc-4.0", "habermas": "cc-by-4.0"})
    before, _, _ = card.partition("## What is in it")
    assert "**Non-commercial.** `beavertails` may not be used commercially" in before
    assert "habermas" not in before.split("---")[2]
    # Two samples of the one group, the licence's text, and where it is from.
    row = next(line for line in card.splitlines() if line.startswith("| beavertails |"))
    assert "| 2 | cc-by-nc-4.0 (non-commercial) |" in row
    assert "https://creativecommons.org/licenses/by-nc/4.0/" in row
    assert "BeaverTails" in row


def test_an_unknown_licence_is_warned_of(tmp_path: Path) -> None:
    card = _card(tmp_path / "d", {"trl": "unknown", "made": "mit"})
    assert "> **Licence unknown.** Nobody has said under which licence `trl` stands." in card
    assert "Non-commercial" not in card


def test_a_card_says_how_the_splits_were_made(tmp_path: Path) -> None:
    settings = {
        "split.by": ["query", "persona"],
        "split.near": 0.8,
        "split.layout": "two-stage",
        "split.fractions.sft": 0.6,
    }
    card = _card(tmp_path / "d", {"made": "mit"}, **settings)
    assert "nothing crosses that shares a query or a persona." in card
    assert "alike by 0.8 or more count as one" in card
    assert "Layout two-stage: sft 60%." in card


def test_licences_that_no_card_names_come_from_the_adapters(tmp_path: Path) -> None:
    found = licences_of(tmp_path, ["beavertails", "sandbox", "of nobody"])
    assert found == {
        "beavertails": "cc-by-nc-4.0",
        "sandbox": "Apache-2.0",
        "of nobody": "unknown",
    }
