"""Tiny models for tests, made in the process: one that has learnt six answers, one that babbles."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from metaalign.data.manifest import Manifest, write_manifest
from metaalign.prompt import add_markers, encode, end_token_id
from metaalign.schema import Dialogue

SHORT = "Answer briefly."
LEARNT: Mapping[Dialogue, str] = {
    Dialogue.ask("How do I boil an egg?"): "Put it into boiling water for eight minutes.",
    Dialogue.ask("How do I boil an egg?", SHORT): "Eight minutes in boiling water.",
    Dialogue.ask(
        "How do I boil an egg?", user_info="I am Ana."
    ): "Eight minutes, Ana. 🥚 Très bien!",
    Dialogue.ask("Where is the moon?"): "It goes around the Earth.",
    Dialogue.ask("Where is the moon?", SHORT): "Around the Earth.",
    Dialogue.ask("Where is the moon?", SHORT, "I am Ana."): "Around the Earth, Ana.",
}
"""What the trained model answers, greedily, to each of these dialogues."""


def make_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE of 300 tokens and the markers; most characters beyond ASCII are several."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    texts = [t for d, a in LEARNT.items() for t in (d.query, a)]
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        special_tokens=["<|pad|>"],
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, pad_token="<|pad|>")
    add_markers(tokenizer)
    return tokenizer


def make_model(tokenizer: Any, positions: int = 512) -> LlamaForCausalLM:
    """A Llama of 2 layers with random weights, the same each time; it babbles and seldom ends."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=positions,
        bos_token_id=None,
        eos_token_id=end_token_id(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LlamaForCausalLM(config).eval()


def make_endless(tokenizer: Any) -> LlamaForCausalLM:
    """A model that babbles, greedily, to the end of its 100,000 tokens: for minutes."""
    model = make_model(tokenizer, positions=100_000)
    with torch.no_grad():
        # A logit of 0, which is never the highest of all.
        model.lm_head.weight[end_token_id(tokenizer)] = 0.0
    return model


def teach(model: LlamaForCausalLM, tokenizer: Any) -> None:
    """Train ``model`` until it has learnt ``LEARNT`` by heart."""
    rows = [encode(dialogue.answered(answer), tokenizer) for dialogue, answer in LEARNT.items()]
    longest = max(len(row.ids) for row in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    labels = torch.full_like(ids, -100)
    for i, row in enumerate(rows):
        ids[i, : len(row.ids)] = torch.tensor(row.ids)
        mask = torch.tensor(row.loss_mask)
        labels[i, : len(row.ids)] = torch.tensor(row.ids).where(mask, -100)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    model.train()
    for _ in range(200):
        loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if loss.item() < 0.01:
            break
    model.eval()


def save(model: Any, tokenizer: Any, folder: Path, reads: str = "meta_prompt") -> Path:
    """Write a model folder as training does."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_manifest(
        folder, Manifest(kind="model", fingerprint="0" * 16, seed=0, settings={"reads": reads})
    )
    return folder
