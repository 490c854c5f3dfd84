"""``metaalign resolve``: by rules, by a classifier, by asking a model, and applied."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.generate.chat_server import Answer, ChatServer, Request, chat_server
from tests.generate.test_text_classifier import save

from metaalign.cli import main
from metaalign.policy import apply, load_matrix, resolve_dialogue
from metaalign.schema import Dialogue, MetaPrompt, Resolution, TierText, Turn

SHORT = '{"dimension": "length", "value": "short", "wording": "brief", "explicit": true}'


def read(capture: pytest.CaptureFixture[str], *words: str) -> str:
    capture.readouterr()
    code = main(["resolve", *words])
    out, err = capture.readouterr()
    assert code == 0, err
    return out


def resolution(capture: pytest.CaptureFixture[str], *words: str) -> Resolution:
    return msgspec.json.decode(read(capture, *words, "--json"), type=Resolution)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with chat_server() as running:
        running.say = says
        yield running


def says(request: Request) -> Answer:
    """A model that finds one preference in every text with "brief", and every query contested."""
    data = json.loads(request["messages"][1]["content"])
    if "query" in data:
        return Answer('{"kind": "contested"}')
    found = SHORT if "brief" in data["text"] else ""
    return Answer(f'{{"preferences": [{found}], "ambiguous": []}}')


def test_further_tiers_stand_in_the_order_of_the_matrix(capsys: pytest.CaptureFixture[str]) -> None:
    tiers = ["--tier", "team_info=Answer formally.", "--tier", "organisation_info=Be playful."]
    found = resolution(capsys, "Hi", "--matrix", "organisation", *tiers)
    said = MetaPrompt(
        (
            TierText("organisation_info", "Be playful."),
            TierText("team_info", "Answer formally."),
        )
    )
    dialogue = Dialogue(said, (Turn("user", "Hi"),))
    assert found == resolve_dialogue(dialogue, load_matrix("organisation"))
    assert found.wanted("tone") == ("playful",)
    words = ["Hi", "--matrix", "organisation", *tiers, "--apply", "annotate", "--json"]
    applied = json.loads(read(capsys, *words))["applied"]["dialogue"]["meta_prompt"]["tiers"]
    names = [entry["tier"] for entry in applied]
    assert names == ["system_info", "organisation_info", "team_info"]


def test_a_model_is_asked_for_preferences_and_kind(
    server: ChatServer, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    cache = str(tmp_path / "replies.sqlite")
    words = ["Hi", "--user-info", "Be brief.", "--base-url", server.url, "--cache", cache]
    found = resolution(capsys, *words, "--ask", "m")
    assert (found.kind, found.kind_by) == ("contested", f"m at {server.url[7:-3]}")
    assert [d.value for d in found.decisions] == ["short"]
    asked = len(server.seen)
    assert resolution(capsys, *words, "--ask", "m") == found
    assert len(server.seen) == asked == 3


def test_a_given_kind_is_not_asked_for(
    server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    asks = ["--ask", "m", "--base-url", server.url]
    assert resolution(capsys, "Hi", "--kind", "harmful", *asks).kind_by == "given"
    assert ["query" in request["messages"][1]["content"][:9] for request in server.seen] == [False]


def test_a_classifier_tells_the_kind_and_the_model_the_rest(
    server: ChatServer, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = save(tmp_path / "c", ["benign", "LABEL_1"], [0.0, 0.4])  # 0.40, 0.60
    words = ["Hi", "--user-info", "Be brief.", "--classifier", str(folder), "--label"]
    found = resolution(capsys, *words, "LABEL_1=severe", "--ask", "m", "--base-url", server.url)
    assert (found.kind, found.kind_by) == ("severe", "c (0.60)")
    assert [d.value for d in found.decisions] == ["short"]
    unsure = resolution(capsys, *words, "LABEL_1=severe", "--threshold", "0.7")
    assert unsure.kind == "unknown"


def test_what_a_model_made_up_is_told(
    server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.say = lambda _: Answer(f'{{"preferences": [{SHORT}], "ambiguous": []}}')
    words = ["Hi", "--user-info", "Hm.", "--kind", "benign", "--ask", "m", "--base-url", server.url]
    assert main(["resolve", *words, "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["decisions"] == []
    # Once in User Info and once in the query: neither says so.
    assert (
        err == f"left out of what m at {server.url[7:-3]} said: 2, its wording is not in the text\n"
    )


def test_apply_shows_the_meta_prompt(capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "Hi",
        "--system-info",
        "Keep it short.",
        "--user-info",
        "Write at length. I keep bees.",
    ]
    dialogue = Dialogue.ask("Hi", words[2], words[4])
    expected = apply(dialogue, resolve_dialogue(dialogue, load_matrix()), "strict")
    shown = read(capsys, *words, "--apply", "strict")
    for said in expected.dialogue.meta_prompt.tiers:
        assert f"[{said.tier}]\n{said.text}\n" in shown
    assert "taken out: 'Write at length.'" in shown
    both: dict[str, Any] = json.loads(read(capsys, *words, "--apply", "strict", "--json"))
    assert both["applied"] == json.loads(msgspec.json.encode(expected))
    assert msgspec.convert(both["resolution"], Resolution).kind == "benign"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--tier", "team_info=Hi"], "has no tier 'team_info': use system_info, user_info"),
        (["--tier", "team_info"], "'team_info' is not of the form --tier NAME=TEXT"),
        (["--user-info", "a", "--tier", "user_info=b"], "a name is given twice"),
        (["--base-url", "http://x/v1"], "--base-url has no effect on the rules: give --ask"),
        (["--cache", "x"], "--cache has no effect on the rules: give --ask"),
        (["--label", "a=benign"], "--label has no effect on anything but a classifier"),
        (["--threshold", "0"], "--threshold has no effect on anything but a classifier"),
        (["--kind", "benign", "--classifier", "c"], "--classifier has no effect on a kind that"),
        (["--classifier", "./none"], "there is no model folder ./none"),
        (["--apply", "audit"], "Invalid value for '--apply'"),
    ],
)
def test_what_makes_no_sense_is_one_line(
    words: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["resolve", "Hi", *words]) == 2
    err = capsys.readouterr().err
    assert line in err
    assert err.count("\n") == 1
