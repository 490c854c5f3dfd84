"""Models: made from nothing, or loaded from a hub name or a folder; and saved."""

import copy
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from msgspec import Struct
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, LlamaConfig
from transformers.utils import logging as hf_logging

from metaalign import prompt
from metaalign.data.manifest import FILE_NAME as MANIFEST
from metaalign.data.manifest import Manifest, write_manifest, writing
from metaalign.schema import Dialogue, MissingExtra, UserError
from metaalign.train.checkpoint import os_error_behind
from metaalign.train.tokenizer import train_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

SCRATCH = "scratch:"


class Size(Struct, frozen=True):
    """The shape of a Llama that starts from random weights."""

    width: int
    layers: int
    heads: int
    feed_forward: int
    vocabulary: int
    positions: int = 1024


SIZES = {
    "tiny": Size(width=128, layers=3, heads=4, feed_forward=512, vocabulary=3072),
    "small": Size(width=256, layers=6, heads=8, feed_forward=768, vocabulary=4096),
}
"""``scratch:tiny`` has 1.2M parameters, ``scratch:small`` 6.2M."""


def is_scratch(name: str | Path) -> bool:
    """Whether ``name`` asks for a model from random weights."""
    return str(name).startswith(SCRATCH)


def load_model(
    name: str | Path,
    texts_for_tokenizer: Iterable[str] | None = None,
    *,
    seed: int = 0,
) -> "tuple[PreTrainedModel, PreTrainedTokenizerFast]":
    """A model and its tokenizer, which knows the markers of ``prompt``.

    Args:
        name: ``scratch:tiny``, ``scratch:small``, a model folder, or a Hugging Face name.
        texts_for_tokenizer: what the tokenizer of a scratch model is trained on.
        seed: draws the weights of a scratch model.

    Raises:
        UserError: no such size, folder or hub model, no network, or a damaged folder.
    """
    if is_scratch(name):
        size = SIZES.get(str(name).removeprefix(SCRATCH))
        if size is None:
            known = ", ".join(SCRATCH + known for known in SIZES)
            raise UserError(f"unknown model {name}: the sizes from scratch are {known}")
        if texts_for_tokenizer is None:
            raise UserError(f"{name} needs texts for its tokenizer: give texts_for_tokenizer")
        tokenizer = train_tokenizer(texts_for_tokenizer, size.vocabulary)
        return _scratch(size, tokenizer, seed), tokenizer
    model, tokenizer = _load(str(name))
    before = len(tokenizer)
    prompt.add_markers(tokenizer)
    if len(tokenizer) > before:
        _add_rows(model, before, len(tokenizer))
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or prompt.END
    return model, tokenizer


def attention() -> str | None:
    """The attention that trains fastest: torch's own on a GPU. On a CPU the backward pass of the
    fused kernel is slow, so the plain form is used."""
    return None if torch.cuda.is_available() else "eager"


def _scratch(size: Size, tokenizer: "PreTrainedTokenizerFast", seed: int) -> "PreTrainedModel":
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=size.width,
        intermediate_size=size.feed_forward,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.heads,
        max_position_embeddings=size.positions,
        attention_bias=True,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=prompt.end_token_id(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
    )
    # The weights come from their own stream, so that nothing drawn before changes them.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
            config, attn_implementation=attention()
        )
    _look_back(model)
    return cast("PreTrainedModel", model)


_LOOK_BACK = 20.0
"""Score of the token that is looked at, before softmax; far ones have 0 on average."""


@torch.no_grad()
def _look_back(model: Any) -> None:
    """Let head h of the first layer begin by looking h tokens back, whatever stands there.

    A model that copies ("sign as X") needs heads that look one token back before it can find what
    followed a like token elsewhere (arXiv 2209.11895). Left to chance, such heads take as long to
    form as a whole short run. Only biases are set, in the spirit of arXiv 2305.09828: with rotary
    frequencies f and amplitudes a, the query (a cos hf, -a sin hf) and the key (a, 0) score
    sum a^2 cos((distance - h) f), which is largest at distance h.
    """
    config = model.config
    attention = model.model.layers[0].self_attn
    half = config.hidden_size // config.num_attention_heads // 2
    steps = torch.arange(half) / half
    frequencies = config.rope_parameters["rope_theta"] ** -steps
    # Slow frequencies cannot tell near tokens apart.
    amplitudes = (frequencies > 0.05).float()
    amplitudes *= math.sqrt(_LOOK_BACK * math.sqrt(2 * half) / amplitudes.sum())
    for head in range(config.num_attention_heads):
        here = slice(2 * half * head, 2 * half * (head + 1))
        turned = head * frequencies
        query = torch.cat([amplitudes * turned.cos(), -amplitudes * turned.sin()])
        attention.q_proj.bias[here] = query
        attention.k_proj.bias[here] = torch.cat([amplitudes, torch.zeros(half)])


def _load(name: str) -> "tuple[PreTrainedModel, PreTrainedTokenizerFast]":
    local_only = _is_local(name)
    try:
        with _quiet():
            tokenizer = AutoTokenizer.from_pretrained(name, local_files_only=local_only)
            model = AutoModelForCausalLM.from_pretrained(
                name,
                dtype=torch.float32,
                attn_implementation=attention(),
                local_files_only=local_only,
            )
    except MemoryError:
        raise
    except Exception as error:  # the libraries raise a dozen kinds for a damaged folder
        raise UserError(f"cannot load the model {name}: {_one_line(error)}") from error
    return cast("PreTrainedModel", model), cast("PreTrainedTokenizerFast", tokenizer)


def _is_local(name: str) -> bool:
    """True for a folder or a cached model that the hub cannot be asked about.

    Asked beforehand, because loading without a network would retry for most of a minute.
    """
    from huggingface_hub import HfApi, try_to_load_from_cache
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError

    folder = Path(name)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise UserError(f"{name} is not a model folder: it has no config.json")
        return True
    advice = f"give a model folder, a Hugging Face name, or {', '.join(SCRATCH + s for s in SIZES)}"
    try:
        HfApi().model_info(name, timeout=10)
    except HFValidationError:
        raise UserError(f"unknown model {name}: not a folder, and no hub name; {advice}") from None
    except GatedRepoError:
        raise UserError(
            f"the model {name} asks for consent: accept its terms on its hub page and log in"
        ) from None
    except RepositoryNotFoundError:
        raise UserError(
            f"unknown model {name}: not a folder, and not on the hub; {advice}"
        ) from None
    except Exception as error:  # no network, a proxy, a hub that is down: whatever was raised
        if try_to_load_from_cache(name, "config.json") is None:
            raise UserError(
                f"unknown model {name}: not a folder, and the hub cannot be reached; {advice}"
            ) from error
        return True
    return False


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's own progress bars off the terminal."""
    shown = hf_logging.is_progress_bar_enabled()
    hf_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            hf_logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


@torch.no_grad()
def _add_rows(model: "PreTrainedModel", known: int, wanted: int) -> None:
    """Grow the embeddings if they are too short; rows from ``known`` on become the mean row.

    A mean row starts a marker amid the tokens that the model knows, so it disturbs nothing.
    """
    rows_now = next(model.get_input_embeddings().parameters()).shape[0]
    if wanted > rows_now:  # some models keep spare rows
        model.resize_token_embeddings(wanted, mean_resizing=False)
    for module in embedding_tables(model):
        for rows in module.parameters(recurse=False):
            rows[known:wanted] = rows[:known].mean(dim=0, dtype=torch.float32).to(rows.dtype)


def embedding_tables(model: "PreTrainedModel") -> list[nn.Module]:
    """The input embeddings, and the output layer unless the two share their weights."""
    table = model.get_input_embeddings()
    head = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    if not isinstance(head, nn.Module) or head.weight is table.weight:
        return [table]
    return [table, head]


def add_lora(
    model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerFast", rank: int, *, seed: int = 0
) -> "PreTrainedModel":
    """The model with LoRA adapters (arXiv 2106.09685) on all its linear layers, alpha = 2 rank.

    The rows of the markers are trained too, in and out: a frozen model cannot know them. At first
    the result computes the same as the model, so it is its own DPO reference.
    """
    if find_spec("peft") is None:
        raise MissingExtra("train", "peft")
    from peft import LoraConfig, get_peft_model

    markers = sorted(prompt.token_id(tokenizer, name) for name in prompt.markers())
    tables = embedding_tables(model)
    rows = {name: markers for name, module in model.named_modules() if module in tables}
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=rank,
        lora_alpha=2 * rank,
        target_modules="all-linear",
        trainable_token_indices=rows,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return cast("PreTrainedModel", get_peft_model(model, config))


def save_model(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerFast",
    folder: Path,
    manifest: Manifest,
) -> None:
    """Write an ordinary Hugging Face model folder; LoRA adapters are merged into the weights.

    The manifest is written last, so that a folder that has one is complete.
    """
    merge: Callable[[], PreTrainedModel] | None = getattr(model, "merge_and_unload", None)
    model = merge() if merge else model
    end = prompt.end_token_id(tokenizer)
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.chat_template = prompt.chat_template(_start(tokenizer))
    # Servers stop where the tokenizer says, not where the base model used to.
    tokenizer.eos_token = tokenizer.convert_ids_to_tokens(end)
    model.config.eos_token_id = end
    model.config.pad_token_id = tokenizer.pad_token_id
    # A new one: what an old one says of sampling is not ours, and an odd one would not be saved.
    model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        eos_token_id=end, pad_token_id=tokenizer.pad_token_id, bos_token_id=tokenizer.bos_token_id
    )
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MANIFEST).unlink(missing_ok=True)
        try:
            with _quiet():
                model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
        except Exception as error:  # the writer of tokenizers raises just that
            raise (os_error_behind(error) or error) from None
    write_manifest(folder, manifest)


def _start(tokenizer: Any) -> str:
    """The start token that the renderer puts before everything, empty if there is none."""
    first = prompt.encode(Dialogue.ask("."), tokenizer).ids[0]
    return str(tokenizer.bos_token) if first == tokenizer.bos_token_id else ""
