"""Every command and every Python example of the README runs, in order, as a reader would run them.

The blocks of README.md that are marked ``bash``, ``sh``, ``console`` or ``python`` share one
working folder in which ``runs/quickstart`` is a finished quickstart at test scale. A comment
directly above a block changes what happens to it:

``<!-- test: skip REASON -->``      the block is not run; the reason is shown
``<!-- test: with OLD => NEW -->``  OLD becomes NEW before it is run (a smaller size); repeatable
``<!-- test: output -->``           a console block prints exactly what the README shows

In ``console`` blocks the commands are the lines that begin with ``$``. ``make`` and ``pip install``
are not run: their targets and extras must exist. ``metaalign quickstart`` is what the shared folder
holds. ``metaalign serve`` goes on in the background for the blocks below it. A command that this
test does not know is an error, so that nothing in the README goes untested.
"""

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
SHELLS = ("bash", "sh", "console")
SECONDS = 300
"""Longer than this, a block wants a smaller size: ``<!-- test: with ... -->``."""

pytestmark = pytest.mark.xdist_group("quickstart")


class Block(NamedTuple):
    """A fenced block of the README."""

    line: int
    language: str
    text: str
    skip: str
    """Why it is not run; empty if it is."""
    swaps: tuple[tuple[str, str], ...]
    output: bool

    def swapped(self) -> str:
        """The text to run. A swap that changes nothing is an error: the README has moved on."""
        text = self.text
        for old, new in self.swaps:
            assert old in text, f"README.md:{self.line}: {old!r} is not in the block below"
            text = text.replace(old, new)
        return text


class Command(NamedTuple):
    """One shell command and what the README says that it prints."""

    text: str
    prints: str


def blocks(markdown: str) -> list[Block]:
    """The blocks to test, in order, with what the comments above them say."""
    fence = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
    found = []
    for match in fence.finditer(markdown):
        language, text = match.groups()
        if language not in (*SHELLS, "python"):
            continue
        above = markdown[: match.start()].splitlines()
        near = takewhile(lambda line: not line or line.startswith("<!--"), reversed(above))
        skip, swaps, output = "", [], False
        for said in re.findall(r"<!-- test: (.*?) -->", "\n".join([*near][::-1])):
            word, _, rest = said.partition(" ")
            if word == "skip" and rest:
                skip = rest
            elif word == "with" and " => " in rest:
                old, new = rest.split(" => ")
                swaps.append((old, new))
            elif said == "output":
                output = True
            else:
                raise ValueError(f"<!-- test: {said} --> means nothing here")
        found.append(Block(len(above) + 1, language, text, skip, tuple(swaps), output))
    return found


def commands(text: str, language: str) -> list[Command]:
    """The commands of a shell block, continued lines joined, comments and blank lines left out."""
    found: list[Command] = []
    lines = iter(text.splitlines())
    for line in lines:
        if language == "console" and not line.startswith("$ "):
            assert found, f"a console block begins with output: {line!r}"
            found[-1] = found[-1]._replace(prints=f"{found[-1].prints}{line}\n")
            continue
        line = line.removeprefix("$ ")
        while line.endswith("\\"):
            line = f"{line[:-1].rstrip()} {next(lines).removeprefix('> ').strip()}"
        if line.strip() and not line.lstrip().startswith("#"):
            found.append(Command(line.strip(), ""))
    return found


def trimmed(text: str) -> list[str]:
    """The lines without what nobody sees: spaces at their ends, blank lines around them."""
    return [line.rstrip() for line in text.strip().splitlines()]


def make_targets() -> set[str]:
    return set(re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def extras() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return set(project["optional-dependencies"])


class Reader:
    """Somebody who types what the README says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server: subprocess.Popen[bytes] | None = None
        self.port = ""
        bin_folder = folder / ".venv" / "bin"
        bin_folder.mkdir(parents=True)
        for name, target in {"metaalign": "-m metaalign", "python": ""}.items():
            shim = bin_folder / name
            shim.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {target} "$@"\n')
            shim.chmod(0o755)
        self.environment = {
            **os.environ,
            "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT / "src"),
        }

    def types(self, command: Command, *, output: bool) -> None:
        """Run one command; fail with what it printed if it fails."""
        words = shlex.split(command.text, comments=True)
        program = Path(words[0]).name
        if program == "make":
            asked = {word for word in words[1:] if "=" not in word and not word.startswith("-")}
            assert asked <= make_targets(), f"{command.text}: no such target"
        elif words[:2] == ["pip", "install"]:
            asked = set(re.findall(r"[\w-]+", "".join(re.findall(r"\[(.*?)\]", command.text))))
            assert asked <= extras(), f"{command.text}: no such extra"
        elif words[:2] == ["git", "clone"] or program in ("cd", "source"):
            pass
        elif program == "metaalign" and words[1] == "quickstart":
            assert (self.folder / "runs" / "quickstart" / "report" / "report.json").exists()
        elif program == "metaalign" and words[1] == "serve":
            self.serves(words)
        elif program in ("metaalign", "python", "curl", "ls", "cat", "mkdir"):
            printed = self.runs(["bash", "-euo", "pipefail", "-c", self.here(command.text)])
            if output:
                assert trimmed(printed) == trimmed(command.prints)
        else:
            pytest.fail(f"README.md shows a command that this test does not know: {command.text}")

    def runs(self, words: list[str]) -> str:
        """Run a program in the reader's folder; a conversation is left at once."""
        done = subprocess.run(
            words,
            cwd=self.folder,
            env=self.environment,
            input="/quit\n",
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{words[-1]}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def here(self, text: str) -> str:
        """``text`` with the port that the server really has."""
        return re.sub(r"(?<=localhost:|127\.0\.0\.1:)\d+", self.port, text) if self.port else text

    def serves(self, words: list[str]) -> None:
        """Start ``metaalign serve`` on a free port and wait until it answers."""
        self.leaves()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = str(probe.getsockname()[1])
        words = [word for word in words if word != "&"]
        if "--port" in words:
            del words[words.index("--port") : words.index("--port") + 2]
        self.server = subprocess.Popen(
            [sys.executable, "-m", "metaalign", *words[1:], "--port", self.port],
            cwd=self.folder,
            env=self.environment,
        )
        end = time.monotonic() + 60
        while time.monotonic() < end:
            assert self.server.poll() is None, "metaalign serve has ended"
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/v1/models", timeout=5).close()
                return
            except urllib.error.URLError:
                time.sleep(0.2)
        pytest.fail("metaalign serve did not answer in a minute")

    def reads(self, block: Block) -> None:
        """Run one block, unless its comment says not to."""
        if block.skip:
            return
        text = block.swapped()
        if block.language == "python":
            self.runs([sys.executable, "-c", self.here(text)])
            return
        for command in commands(text, block.language):
            self.types(command, output=block.output)

    def leaves(self) -> None:
        """Stop the server, if there is one."""
        if self.server is not None:
            self.server.terminate()
            self.server.wait(timeout=30)
            self.server = None


READ = blocks(README.read_text(encoding="utf-8")) if README.exists() else []


def test_the_readme_shows_the_main_commands() -> None:
    """Without this, a README that is lost or fenced otherwise would pass with nothing run."""
    shown = "\n".join(block.text for block in READ)
    for command in [
        "make quickstart",
        "make test",
        "metaalign chat",
        "metaalign resolve",
        "metaalign serve",
        "metaalign data build",
        "metaalign train",
        "metaalign eval",
    ]:
        assert command in shown, f"README.md does not show {command}"
    assert any(block.language == "python" for block in READ), "README.md shows no Python"


def test_every_block_runs_in_order(quickstart_run: Path, tmp_path: Path) -> None:
    """One test: a block builds on those above it, so no scheduler may take them apart."""
    shutil.copytree(quickstart_run, tmp_path / "runs" / "quickstart")
    reader = Reader(tmp_path)
    try:
        for block in READ:
            print(f"README.md, line {block.line}")
            reader.reads(block)
    finally:
        reader.leaves()


SAMPLE = """
# Title
<!-- test: with --size 3000 => --size 30 -->
<!-- test: with a > b => c -->

```bash
# a comment
metaalign data build --size 3000 \\
    --out runs/d  # a > b
make test
```
Text, then <!-- test: skip this one is far away -->

and more.

```python
print("hello")
```

<!-- test: skip needs a hub -->
```sh
metaalign train --model gpt2
```
<!-- test: output -->
```console
$ metaalign --version
metaalign 0.1.0
$ ls
```
```json
{}
```
"""


def test_blocks_are_read_with_their_comments() -> None:
    first, second, third, fourth = blocks(SAMPLE)
    assert (first.language, first.line) == ("bash", 6)
    assert first.swaps == (("--size 3000", "--size 30"), ("a > b", "c"))
    assert commands(first.swapped(), "bash") == [
        Command("metaalign data build --size 30 --out runs/d  # c", ""),
        Command("make test", ""),
    ]
    assert (second.language, second.text, second.skip) == ("python", 'print("hello")\n', "")
    assert (third.language, third.skip) == ("sh", "needs a hub")
    assert fourth.output
    assert commands(fourth.text, "console") == [
        Command("metaalign --version", "metaalign 0.1.0\n"),
        Command("ls", ""),
    ]


def test_a_swap_that_changes_nothing_is_an_error() -> None:
    [block] = blocks("<!-- test: with 3000 => 30 -->\n```bash\nmetaalign --version\n```\n")
    with pytest.raises(AssertionError, match="3000"):
        block.swapped()


@pytest.mark.parametrize("said", ["skip", "with 1 = 2", "never"])
def test_a_comment_that_means_nothing_is_an_error(said: str) -> None:
    with pytest.raises(ValueError, match="means nothing"):
        blocks(f"<!-- test: {said} -->\n```bash\nls\n```\n")


@pytest.mark.parametrize(
    "command",
    ["make no-such-target", "pip install 'metaalign[nothing]'", "metaalign no-such", "rm -r runs"],
)
def test_a_command_that_does_not_work_is_an_error(command: str, tmp_path: Path) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        Reader(tmp_path).types(Command(command, ""), output=False)


def test_output_that_differs_is_an_error(tmp_path: Path) -> None:
    who = Reader(tmp_path)
    who.types(Command("cat /dev/null", "\n"), output=True)
    with pytest.raises(AssertionError):
        who.types(Command("ls", "nothing at all\n"), output=True)
