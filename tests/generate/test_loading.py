"""Opening a model: what cannot be opened is told in one line."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.generate.makers import LEARNT, make_model, make_tokenizer

from metaalign.generate import Engine
from metaalign.prompt import parse
from metaalign.schema import Dialogue, UserError


@pytest.fixture
def copy(trained_folder: Path, tmp_path: Path) -> Path:
    return shutil.copytree(trained_folder, tmp_path / "model")


def refused(model: str | Path, **kwargs: Any) -> str:
    with pytest.raises(UserError) as caught:
        Engine.load(model, **kwargs)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_folder_without_a_manifest_reads_everything(copy: Path) -> None:
    (copy / "manifest.json").unlink()
    engine = Engine.load(copy)
    assert engine.reads == "meta_prompt"
    assert [a[0] for a in engine.answer(list(LEARNT))] == list(LEARNT.values())


@pytest.mark.parametrize("name", ["./not/there", "/not/there", "a/b/c", "runs/models/"])
def test_a_path_that_is_not_there(name: str) -> None:
    assert refused(name).startswith(f"there is no model folder {name}: ")


def test_a_name_that_nobody_can_look_up() -> None:
    message = refused("nobody/nothing")
    assert "nobody/nothing" in message and "hub cannot be reached" in message


def test_a_file_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_text("x")
    assert "is a file" in refused(path)


def test_an_empty_folder(tmp_path: Path) -> None:
    assert str(tmp_path) in refused(tmp_path)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", b'{"model_type": "lla'),
        ("config.json", b"{}"),
        ("config.json", b"\xff\xfe"),
        ("tokenizer.json", b'{"version": "1.0"}'),
        ("tokenizer.json", b""),
        ("model.safetensors", b"\x10\x00\x00\x00\x00\x00\x00\x00{}"),
        ("model.safetensors", b""),
        ("manifest.json", b"{"),
        ("manifest.json", b'{"schema": 99}'),
    ],
)
def test_a_damaged_file_is_told(copy: Path, file: str, content: bytes) -> None:
    (copy / file).write_bytes(content)
    assert str(copy) in refused(copy)


def test_half_written_weights_are_told(copy: Path) -> None:
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    assert str(copy) in refused(copy)


def test_missing_weights_are_not_made_up(copy: Path) -> None:
    """transformers would fill them with random numbers and go on."""
    from safetensors.torch import load_file, save_file

    state = load_file(copy / "model.safetensors")
    del state["model.layers.1.mlp.up_proj.weight"]
    save_file(state, copy / "model.safetensors", metadata={"format": "pt"})
    assert "model.layers.1.mlp.up_proj.weight" in refused(copy)


def unmarked(folder: Path, **named: str) -> Path:
    """A model as others publish it: its tokenizer knows none of our markers."""
    from transformers import PreTrainedTokenizerFast

    tokenizer = make_tokenizer()
    make_model(tokenizer).save_pretrained(folder)
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    state["added_tokens"] = state["added_tokens"][:1]
    (folder / "bare.json").write_text(json.dumps(state))
    bare = PreTrainedTokenizerFast(tokenizer_file=str(folder / "bare.json"), **named)
    bare.save_pretrained(folder)
    return folder


def test_a_model_without_markers_is_shown_the_meta_prompt_in_its_own_way(tmp_path: Path) -> None:
    engine = Engine.load(unmarked(tmp_path, eos_token="<|pad|>"))
    dialogue = Dialogue.ask("Where is the moon?", "Be brief.", "I am Ana.")
    assert parse(engine._prompts([dialogue])[0], engine.tokenizer) == dialogue
    [[answer]] = engine.answer([dialogue], max_new_tokens=4)
    assert isinstance(answer, str)


def test_a_model_that_cannot_be_shown_a_dialogue_is_refused(tmp_path: Path) -> None:
    assert "neither a chat template nor an end token" in refused(unmarked(tmp_path))


def test_an_unknown_way_of_reading_is_refused(copy: Path) -> None:
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["settings"]["reads"] = "everything"
    (copy / "manifest.json").write_text(json.dumps(manifest))
    assert "settings.reads" in refused(copy)


def test_settings_that_cannot_be(trained_folder: Path) -> None:
    assert "float33" in refused(trained_folder, dtype="float33")
    assert "threads" in refused(trained_folder, threads=0)
    assert "abacus" in refused(trained_folder, device="abacus")
    if not torch.cuda.is_available():
        assert "cuda" in refused(trained_folder, device="cuda")


def test_dtype(trained_folder: Path) -> None:
    assert Engine.load(trained_folder).model.dtype == torch.float32
    engine = Engine.load(trained_folder, dtype="bfloat16")
    assert engine.model.dtype == torch.bfloat16
    assert [a[0] for a in engine.answer(list(LEARNT))] == list(LEARNT.values())


def test_loading_prints_nothing(trained_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Engine.load(trained_folder)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "what", ["from metaalign.generate import Engine", "import metaalign.serve"]
)
@pytest.mark.parametrize("missing", ["torch", "transformers"])
def test_a_missing_extra_is_named(what: str, missing: str) -> None:
    code = f"""
import importlib.util as u
find = u.find_spec
u.find_spec = lambda name, *rest: None if name == {missing!r} else find(name, *rest)
from metaalign.schema import MissingExtra
try:
    {what}
except MissingExtra as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert missing in done.stdout and "metaalign[serve]" in done.stdout
