"""``metaalign matrix``: shown, checked, compared."""

import json
import re
import shlex
from pathlib import Path

import pytest

from metaalign.cli import main
from metaalign.policy import load_matrix

DOCUMENT = Path(__file__).parents[1] / "docs" / "matrix.md"
EXTENDS = 'extends = "default"\nname = "mine"\nversion = "2"\n'


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["matrix", *words])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_show_tells_the_dimensions_the_tiers_the_talk_and_the_floors(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, _ = run(capsys, "show", "organisation")
    assert code == 0
    rows = [line.split() for line in out.splitlines()]
    assert ["profanity", "ordered", "none", ">", "mild", ">", "allowed"] in rows
    assert ["include", "additive", "any", "avoid"] in rows
    assert out.endswith(
        "tiers, the highest first: system_info, organisation_info, team_info, user_info\n"
        "what the talk asks for belongs to: user_info\n"
        "floors that no tier can lower: refuse for severe\n"
    )


def test_check_counts_what_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "check", "default")[:2] == (
        0,
        "OK: default@1.1.0/system_first has 2 tiers, 6 kinds, 150 cells, 6 conflicts, 1 floor, "
        "12 dimensions\n",
    )


def test_check_names_the_missing_and_the_doubled_cell_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.toml"
    default = load_matrix()
    stated = ("-", *default.priorities)
    rows = [["higher / lower", *stated]]
    rows += [[higher, *["answer"] * 5] for higher in ("-", "safety", "safety", *stated[3:])]
    path.write_text(f"{EXTENDS}[kinds.benign]\ntable = {rows}\n", encoding="utf-8")
    code, out, err = run(capsys, "check", str(path))
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert str(path) in err
    assert "the cell benign[helpfulness, -] is missing" in err
    assert "the cell benign[safety, -] is given twice" in err


def test_diff_shows_what_another_rule_changes(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "diff", "default", "default", "--rule-b", "user_first")
    assert code == 0
    assert out.startswith("from default@1.1.0/system_first to default@1.1.0/user_first\n")
    assert out.endswith("6 combinations change\n")
    rows = [line.split() for line in out.splitlines()]
    assert ["harmful", "safety", "helpfulness", "refuse", "answer"] in rows
    code, out, _ = run(capsys, "diff", "default", "default", "--rule-a", "user_first", "--json")
    assert len(json.loads(out)["combinations"]) == 6


def test_diff_shows_the_other_parts_and_says_if_no_combination_changes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f'{EXTENDS}talk = ""\n', encoding="utf-8")
    code, out, _ = run(capsys, "diff", "default", str(path))
    assert code == 0
    assert ["talk", "user_info", "not", "there"] in [line.split() for line in out.splitlines()]
    assert out.endswith("\nno combination changes\n")
    assert run(capsys, "diff", "default", "default")[1].endswith("\nno combination changes\n")


@pytest.mark.parametrize("command", ["show", "check", "diff"])
def test_every_help_has_an_example(capsys: pytest.CaptureFixture[str], command: str) -> None:
    code, out, _ = run(capsys, command, "--help")
    assert code == 0
    assert f"Example:\n    metaalign matrix {command} " in out


def test_the_document_shows_what_the_commands_print(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for name, content in re.findall(r"<!-- file: (\S+) -->\n```toml\n(.*?)```", text, re.DOTALL):
        (tmp_path / name).write_text(content, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 4
    for block in blocks:
        printed = []
        for line in block.splitlines():
            if line.startswith("$ metaalign "):
                printed.append(line)
                main(shlex.split(line)[2:])
                out, err = capsys.readouterr()
                printed += [each.rstrip() for each in (out + err).splitlines()]
        assert printed == block.splitlines()
