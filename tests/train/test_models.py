"""Models: from nothing, from a folder, saved as ordinary Hugging Face folders."""

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.train.makers import make_rows, phase, tiny
from tokenizers import Tokenizer
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedTokenizerFast,
)

from metaalign import prompt
from metaalign.data.manifest import Manifest, read_manifest
from metaalign.schema import Dialogue, UserError
from metaalign.train.batches import encode_examples
from metaalign.train.models import SIZES, add_lora, embedding_tables, load_model, save_model
from metaalign.train.recipe import Pretrained
from metaalign.train.sft import sft_objective
from metaalign.train.tokenizer import train_tokenizer
from metaalign.train.trainer import fit

TEXTS = [text for dialogue, answer in make_rows() for text in (dialogue.query, answer)]
MANIFEST = Manifest(kind="model", fingerprint="f", seed=0)


def opened(name: str | Path, texts: Iterable[str] | None = None, seed: int = 0) -> tuple[Any, Any]:
    """A model and its tokenizer, untyped: the tests look inside."""
    return load_model(name, texts, seed=seed)


def saved(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder)


def plain_folder(folder: Path, **changes: Any) -> Path:
    """A model that metaalign has not made: no markers, no pad token, a vocabulary of 290."""
    raw = json.loads(train_tokenizer(TEXTS, 290).backend_tokenizer.to_str())
    raw["added_tokens"] = []
    plain: Any = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(raw)))
    tiny(vocabulary=len(plain), **changes).save_pretrained(folder)
    plain.save_pretrained(folder)
    return folder


@pytest.mark.parametrize(("name", "parameters"), [("tiny", 1_182_080), ("small", 6_169_856)])
def test_sizes_from_scratch(name: str, parameters: int) -> None:
    """Counted with a full vocabulary; these few texts do not fill it."""
    model, tokens = opened(f"scratch:{name}", TEXTS)
    missing = SIZES[name].vocabulary - len(tokens)
    assert model.num_parameters() + missing * SIZES[name].width == parameters


def test_a_model_from_scratch_depends_on_the_seed_only() -> None:
    one, tokens = opened("scratch:tiny", TEXTS, seed=1)
    torch.rand(7)
    same, _ = opened("scratch:tiny", TEXTS, seed=1)
    other, _ = opened("scratch:tiny", TEXTS, seed=2)
    assert torch.equal(next(one.parameters()), next(same.parameters()))
    assert not torch.equal(next(one.parameters()), next(other.parameters()))
    assert one.config.vocab_size == len(tokens)
    assert prompt.has_markers(tokens)


def test_heads_of_the_first_layer_begin_by_looking_back() -> None:
    """Head h at h tokens back, whatever the tokens are; the later layers at nothing special."""
    model, tokens = opened("scratch:tiny", TEXTS)
    ids = torch.randint(len(tokens), (8, 40), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        first, second, *_ = model(ids, output_attentions=True).attentions
    for head in range(4):
        assert first[:, head].diagonal(-head, dim1=1, dim2=2)[:, 8:].mean() > 0.7
    assert second.diagonal(-1, dim1=2, dim2=3)[..., 20:].mean() < 0.1


def test_a_saved_model_is_an_ordinary_folder(tmp_path: Path) -> None:
    model, tokens = opened("scratch:tiny", TEXTS)
    save_model(model, tokens, tmp_path, MANIFEST)
    loaded = saved(tmp_path)
    again: Any = AutoTokenizer.from_pretrained(tmp_path)
    ids = torch.tensor([prompt.encode(Dialogue.ask("What is the egg?"), again).ids])
    with torch.no_grad():
        torch.testing.assert_close(loaded(ids).logits, model(ids).logits)
    end = prompt.end_token_id(again)
    assert loaded.generation_config.eos_token_id == loaded.config.eos_token_id == end
    assert loaded.generation_config.pad_token_id == again.pad_token_id
    assert read_manifest(tmp_path).kind == "model"
    assert (tmp_path / "model.safetensors").exists()


def test_its_chat_template_renders_as_training_did(tmp_path: Path) -> None:
    model, tokens = opened("scratch:tiny", TEXTS)
    save_model(model, tokens, tmp_path, MANIFEST)
    dialogue = Dialogue.ask("What is the egg?", "You help.", "Be brief.")
    found = AutoTokenizer.from_pretrained(tmp_path).apply_chat_template(
        prompt.to_messages(dialogue), add_generation_prompt=True, return_dict=False
    )
    assert tuple(found) == prompt.encode(dialogue, tokens).ids


def test_saving_does_not_change_the_tokenizer_in_use(tmp_path: Path) -> None:
    model, tokens = opened("scratch:tiny", TEXTS)
    save_model(model, tokens, tmp_path, MANIFEST)
    assert tokens.chat_template is None


def test_an_old_manifest_does_not_outlive_a_failed_save(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokens = opened("scratch:tiny", TEXTS)
    save_model(model, tokens, tmp_path, MANIFEST)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(model), "save_pretrained", full)
    with pytest.raises(UserError, match="the disk is full"):
        save_model(model, tokens, tmp_path, MANIFEST)
    with pytest.raises(UserError, match="no manifest"):
        read_manifest(tmp_path)


def test_another_models_odd_generation_settings_do_not_prevent_saving(tmp_path: Path) -> None:
    """transformers refuses to save a temperature without sampling, which published models have."""
    model, tokens = opened("scratch:tiny", TEXTS)
    odd = GenerationConfig(do_sample=False, temperature=0.5)
    model.generation_config = odd
    save_model(model, tokens, tmp_path, MANIFEST)
    assert saved(tmp_path).generation_config.temperature != 0.5


@pytest.mark.parametrize("tied", [True, False])
def test_a_foreign_model_gets_markers_that_start_as_the_mean_row(
    tmp_path: Path, tied: bool
) -> None:
    plain_folder(tmp_path, tie_word_embeddings=tied)
    before = saved(tmp_path)
    model, tokens = opened(tmp_path)
    assert prompt.has_markers(tokens)
    assert tokens.pad_token is not None
    old_tables: list[Any] = embedding_tables(before)
    tables: list[Any] = embedding_tables(model)
    assert len(tables) == (1 if tied else 2)
    for old, new in zip(old_tables, tables, strict=True):
        rows = len(old.weight)
        torch.testing.assert_close(new.weight[:rows], old.weight)
        mean = old.weight.mean(0)
        for marker in ("<|system_info|>", "<|end|>"):
            torch.testing.assert_close(new.weight[tokens.convert_tokens_to_ids(marker)], mean)


def test_the_saved_tokenizer_ends_where_an_answer_ends(tmp_path: Path) -> None:
    """Servers ask the tokenizer where to stop; the base model's own end comes from other days."""
    plain_folder(tmp_path / "base")
    model, tokens = opened(tmp_path / "base")
    tokens.eos_token = "e"
    save_model(model, tokens, tmp_path / "saved", MANIFEST)
    again: Any = AutoTokenizer.from_pretrained(tmp_path / "saved")
    assert again.eos_token_id == prompt.end_token_id(again)
    assert tokens.eos_token == "e"


def test_spare_rows_are_used_before_the_table_grows(tmp_path: Path) -> None:
    plain_folder(tmp_path)
    tiny(vocabulary=400).save_pretrained(tmp_path)
    model, tokens = opened(tmp_path)
    table = model.get_input_embeddings().weight
    assert table.shape[0] == 400
    old = saved(tmp_path).get_input_embeddings().weight
    first = tokens.convert_tokens_to_ids("<|system_info|>")
    torch.testing.assert_close(table[first], old[:first].mean(0))


@pytest.mark.parametrize("tied", [True, False])
def test_lora_trains_adapters_and_markers_and_is_merged(tmp_path: Path, tied: bool) -> None:
    folder = plain_folder(tmp_path / "base", tie_word_embeddings=tied)
    base, tokens = opened(folder)
    frozen = {n: p.detach().clone() for n, p in base.named_parameters()}
    ids = torch.tensor([prompt.encode(Dialogue.ask("What is the egg?"), tokens).ids])
    with torch.no_grad():
        at_first = base(ids).logits
        model: Any = add_lora(base, tokens, 4)
        torch.testing.assert_close(model(ids).logits, at_first)
    examples = encode_examples([(d, [a]) for d, a in make_rows()], tokens)
    fit(
        model,
        examples,
        sft_objective,
        phase(epochs=3.0),
        Pretrained(lr=0.01),
        out=tmp_path / "out",
        key="k",
    )
    model.eval()
    with torch.no_grad():
        trained = model(ids).logits
    assert not torch.allclose(trained, at_first, atol=1e-2)
    save_model(model, tokens, tmp_path / "out", MANIFEST)
    merged = saved(tmp_path / "out")
    with torch.no_grad():
        torch.testing.assert_close(merged(ids).logits, trained, rtol=1e-4, atol=1e-4)
    markers = {tokens.convert_tokens_to_ids(prompt.marker(n)) for n in ("user", "assistant")}
    table, old = merged.get_input_embeddings().weight, frozen["model.embed_tokens.weight"]
    changed = {int(i) for i in (table != old).any(1).nonzero()}
    assert markers <= changed
    assert changed <= {tokens.convert_tokens_to_ids(t) for t in tokens.get_added_vocab()}
    q = "model.layers.0.self_attn.q_proj.weight"
    assert not torch.equal(merged.state_dict()[q], frozen[q])
    assert torch.equal(merged.state_dict()["model.norm.weight"], frozen["model.norm.weight"])


def complaint(name: str | Path, texts: Iterable[str] | None = None) -> str:
    with pytest.raises(UserError) as caught:
        opened(name, texts)
    return str(caught.value)


def test_an_unknown_size_names_those_there_are() -> None:
    assert complaint("scratch:huge", TEXTS).endswith("are scratch:tiny, scratch:small")


def test_an_unknown_name_without_a_network_ends_at_once() -> None:
    started = time.monotonic()
    said = complaint("nobody/no-such-model")
    assert said.startswith("unknown model nobody/no-such-model: not a folder")
    assert time.monotonic() - started < 5
    assert "unknown model not/a/folder: not a folder, and no hub name" in complaint("not/a/folder")


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    assert complaint(tmp_path) == f"{tmp_path} is not a model folder: it has no config.json"


def test_a_damaged_model_is_one_line(tmp_path: Path) -> None:
    folder = plain_folder(tmp_path)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    said = complaint(folder)
    assert said.startswith(f"cannot load the model {folder}: ")
    assert "\n" not in said
