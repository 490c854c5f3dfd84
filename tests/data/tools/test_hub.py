"""A push takes what is for others to see, and says in one line why it could not."""

from pathlib import Path

import pytest
from tests.data.makers import make_group
from tests.data.tools.makers import write

from metaalign.data.building.dropped import Dropped, Example
from metaalign.data.store import DROPPED_NAME
from metaalign.data.tools.hub import FILES, push
from metaalign.schema import UserError


def test_without_a_network_it_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    # Nothing listens on the discard port.
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UserError, match=r"cannot upload me/set .*: check the network") as raised:
        push(write(tmp_path / "d"), "me/set")
    assert "\n" not in str(raised.value)


def test_a_name_without_an_owner_and_a_damaged_dataset_go_nowhere(tmp_path: Path) -> None:
    dataset = write(tmp_path / "d")
    with pytest.raises(UserError, match="write OWNER/NAME"):
        push(dataset, "set")
    (dataset / "groups" / "test-00000.parquet").unlink()
    with pytest.raises(UserError, match="holds 0 of the 2 groups"):
        push(dataset, "me/set")


def test_what_was_dropped_is_not_for_others_to_see(tmp_path: Path) -> None:
    """It was left out for what it holds: an address, a card number."""
    example = Example("x", "made", "Write to me@x.org", "", "personal-data: e-mail address")
    report = Dropped(0, "personal-data: e-mail address", 1, (example,))
    dataset = write(tmp_path / "d", {"sft": [make_group("a")]}, reports={DROPPED_NAME: [report]})
    taken = {path for pattern in FILES for path in dataset.glob(pattern)}
    there = {path for path in dataset.rglob("*") if path.is_file()}
    assert {path.name for path in there - taken} == {DROPPED_NAME}
