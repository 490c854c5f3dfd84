"""A real tokenizer of every family of models, trained here in a moment: no download.

Each is put together as the family's published tokenizer is: normaliser, split pattern, decoder,
post-processor, chat template, and control tokens with their flags. Only the vocabulary is small and
learned from lines that this file makes up, so text is cut into more tokens than in the original.
"""

import json
import random
from collections.abc import Callable, Sequence
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

MERGES = 400
"""How many pairs each vocabulary learns, on top of its bytes and characters."""
META = "▁"
"""What a space becomes in SentencePiece."""

Build = Callable[[], PreTrainedTokenizerFast]


class Control(NamedTuple):
    """An added token and its flags, as tokenizer.json has them."""

    text: str
    special: bool = True
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool = False

    def token(self) -> AddedToken:
        return AddedToken(
            self.text,
            special=self.special,
            lstrip=self.lstrip,
            rstrip=self.rstrip,
            normalized=self.normalized,
        )


class Family(NamedTuple):
    """What makes one family's tokenizer."""

    make: Callable[[Sequence[Control]], Tokenizer]
    """Builds the tokenizer; the control tokens have the first ids if the family puts them there."""
    controls: tuple[Control, ...]
    """Tokens that say who speaks, where a text begins and ends, or what kind of content it is."""
    named: dict[str, str]
    """bos_token, eos_token, pad_token, unk_token: as published, so some families lack some."""
    template: str | None = None
    """File of the chat template: ``name`` here, ``trl:name`` in the package TRL."""
    plain: tuple[str, ...] = ()
    """Markers of the template that are ordinary text to the tokenizer."""
    pieces: tuple[Control, ...] = ()
    """Added tokens that only shorten ordinary text, such as runs of line breaks."""


def special(*texts: str) -> tuple[Control, ...]:
    return tuple(Control(text) for text in texts)


def ordinary(*texts: str) -> tuple[Control, ...]:
    """Added tokens that are not marked special: ``skip_special_tokens`` keeps them."""
    return tuple(Control(text, special=False) for text in texts)


# ---------------------------------------------------------------- the text to learn from

_WORDS = (
    "the a of to and in is it you that he was for on are with as they be at one have this from or "
    "had by hot but some what there we can out other were all your when up use word how said an "
    "each she which do their time if will way about many then them would write like so these her "
    "long make thing see him two has look more day could go come did my sound no most number who "
    "over know water than call first people may down side been now find assistant user system "
    "model prompt answer question short brief please explain zookeeper café naïve résumé größer "
    "привет мир как дела 你好 世界 こんにちは मराठी العربية 안녕 🦉 🙂"
)
_MARKS = ("", ".", ",", "?", "!", ":", ";", " -", "'s", "'re", ")", "}", "\n", "\n\n", "  ")


@cache
def lines(count: int = 300) -> tuple[str, ...]:
    """Made-up lines of text, digits, code and white space; always the same."""
    draw = random.Random(0)
    made = []
    for number in range(count):
        words = [draw.choice(_WORDS.split()) for _ in range(draw.randint(4, 14))]
        line = " ".join(word + draw.choice(_MARKS) for word in words)
        made.append(line.capitalize() if number % 3 else line)
        if number % 5 == 0:
            made.append(f"def {words[0]}({words[1]}):\n    return {number * 37} + x[{number}]\n")
    return tuple(made)


# ---------------------------------------------------------------- vocabularies


def _learn(split: Any, alphabet: list[str], seeds: list[str]) -> tuple[dict[str, int], list[Any]]:
    """Vocabulary and merges of a BPE that is trained on ``lines`` cut by ``split``."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = split
    trainer = trainers.BpeTrainer(
        vocab_size=len(alphabet) + 80 + MERGES, initial_alphabet=alphabet, show_progress=False
    )
    raw.train_from_iterator(lines(), trainer)
    model = json.loads(raw.to_str())["model"]
    learned = sorted(model["vocab"], key=model["vocab"].__getitem__)
    order = dict.fromkeys([*seeds, *learned])
    return {token: index for index, token in enumerate(order)}, [
        tuple(pair) for pair in model["merges"]
    ]


_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def _sentencepiece(first: Sequence[Control]) -> Tokenizer:
    """A BPE with byte fallback, its control tokens first: what SentencePiece models become."""
    seeds = [control.text for control in first] + _BYTES + [META]
    vocab, merges = _learn(pre_tokenizers.Metaspace(prepend_scheme="always"), [], seeds)
    return Tokenizer(
        models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )


def _unspace(strip: bool) -> Any:
    """SentencePiece's decoder; ``strip`` takes off the space that was put in front."""
    steps: list[Any] = [decoders.Replace(META, " "), decoders.ByteFallback(), decoders.Fuse()]
    return decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)] if strip else steps)


def _starts_with(raw: Tokenizer, bos: str) -> None:
    """Make the tokenizer put its start token before everything."""
    raw.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A",
        pair=f"{bos} $A {bos}:1 $B:1",
        special_tokens=[(bos, raw.token_to_id(bos))],
    )


def _llama2(first: Sequence[Control], bos: bool = True) -> Tokenizer:
    """Llama-2's legacy layout: the normaliser puts a space before the text."""
    raw = _sentencepiece(first)
    raw.normalizer = normalizers.Sequence(
        [normalizers.Prepend(META), normalizers.Replace(" ", META)]
    )
    raw.decoder = _unspace(strip=True)
    raw.add_tokens([control.token() for control in first])
    if bos:
        _starts_with(raw, "<s>")
    return raw


def _mistral3(first: Sequence[Control]) -> Tokenizer:
    """Mistral v0.3: the pre-tokenizer puts the space, and only at the very start."""
    raw = _sentencepiece(first)
    raw.pre_tokenizer = pre_tokenizers.Metaspace(META, prepend_scheme="first", split=False)
    raw.decoder = _unspace(strip=True)
    raw.add_tokens([control.token() for control in first])
    _starts_with(raw, "<s>")
    return raw


def _gemma(first: Sequence[Control]) -> Tokenizer:
    """Gemma: spaces become ▁, none is put in front."""
    raw = _sentencepiece(first)
    raw.normalizer = normalizers.Replace(" ", META)
    raw.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    raw.decoder = _unspace(strip=False)
    raw.add_tokens([control.token() for control in first])
    _starts_with(raw, "<bos>")
    return raw


def _byte_level(
    first: Sequence[Control],
    patterns: Sequence[str] = (),
    digits: bool = False,
    nfc: bool = False,
    bos: str = "",
    ignore_merges: bool = False,
    trim: bool = True,
    tokens_first: bool = False,
    cut: str = "isolated",
) -> Tokenizer:
    """A byte-level BPE, split by ``patterns`` or, without any, by GPT-2's own."""
    last = pre_tokenizers.ByteLevel(
        add_prefix_space=False, trim_offsets=trim, use_regex=not patterns
    )
    steps: list[Any] = [
        pre_tokenizers.Split(Regex(p), cut, invert=cut == "removed") for p in patterns
    ]
    if digits:
        steps.append(pre_tokenizers.Digits(individual_digits=True))
    split = pre_tokenizers.Sequence([*steps, last]) if steps else last
    seeds = [control.text for control in first] if tokens_first else []
    vocab, merges = _learn(split, sorted(pre_tokenizers.ByteLevel.alphabet()), seeds)
    raw = Tokenizer(models.BPE(vocab=vocab, merges=merges, ignore_merges=ignore_merges))
    if nfc:
        raw.normalizer = normalizers.NFC()
    raw.pre_tokenizer = split
    raw.decoder = decoders.ByteLevel()
    raw.post_processor = processors.ByteLevel(trim_offsets=trim)
    raw.add_tokens([control.token() for control in first])
    if bos:
        _starts_with(raw, bos)
    return raw


# ---------------------------------------------------------------- split patterns, as published

_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3_SPLIT = rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,3}}|{_REST}"
QWEN_SPLIT = rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}|{_REST}"
DEEPSEEK_SPLITS = (
    r"\p{N}{1,3}",
    "[一-龥\u3040-ゟ゠-ヿ]+",
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"""
    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
)

# ---------------------------------------------------------------- control tokens, as published

_SP = special("<unk>", "<s>", "</s>")
_SP_NAMED = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
_LLAMA3 = special("<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>")
_HEADERS = special("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
_QWEN = special(
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>"),
    *("<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>"),
    *("<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"),
) + ordinary(
    *("<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>"),
    *("<|fim_pad|>", "<|repo_name|>", "<|file_sep|>"),
)
_THINK = ordinary("<think>", "</think>")
_GEMMA = special("<pad>", "<eos>", "<bos>", "<unk>")
_TURNS = special("<start_of_turn>", "<end_of_turn>")
_GEMMA_NAMED = {
    "bos_token": "<bos>",
    "eos_token": "<eos>",
    "pad_token": "<pad>",
    "unk_token": "<unk>",
}
_GEMMA_PIECES = ordinary(
    *("\n", "\n\n", "\n\n\n", META * 2, META * 3, "<b>", "</b>", "<h1>", "</h1>", "<strong>")
)
_PHI3 = (
    *special("<unk>", "<s>"),
    Control("</s>", special=False, rstrip=True),
    *special("<|endoftext|>"),
    *(
        Control(f"<|{name}|>", rstrip=True)
        for name in ("assistant", "placeholder1", "system", "end", "placeholder5", "user")
    ),
)
_PHI4 = tuple(
    Control(f"<|{name}|>", lstrip=True, rstrip=True)
    for name in (
        *("endoftext", "fim_prefix", "fim_middle", "fim_suffix", "im_start", "im_end"),
        *("im_sep", "endofprompt", "dummy_85"),
    )
)
_BOS_DS, _EOS_DS = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"
_DEEPSEEK3 = tuple(
    Control(text, special=text in (_BOS_DS, _EOS_DS, "<｜▁pad▁｜>", "<|EOT|>"), normalized=True)
    for text in (
        *(_BOS_DS, _EOS_DS, "<｜▁pad▁｜>", "<think>", "</think>", "<｜fim▁hole｜>"),
        *("<｜fim▁begin｜>", "<｜fim▁end｜>", "<｜User｜>", "<｜Assistant｜>", "<|EOT|>"),
        *("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>", "<｜tool▁call▁begin｜>"),
        *("<｜tool▁call▁end｜>", "<｜tool▁outputs▁begin｜>", "<｜tool▁outputs▁end｜>"),
        *("<｜tool▁output▁begin｜>", "<｜tool▁output▁end｜>", "<｜tool▁sep｜>"),
    )
)
_DEEPSEEK_R1 = (
    *special(_EOS_DS),
    *ordinary("<｜User｜>", "<｜Assistant｜>"),
    *special(_BOS_DS),
    *ordinary("<|EOT|>", "<think>", "</think>"),
    *special("<|quad_start|>", "<|vision_start|>", "<|image_pad|>"),
    *ordinary("<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|repo_name|>"),
)
_SMOLLM2 = special(
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repo_name>", "<reponame>", "<file_sep>"),
    *("<filename>", "<gh_stars>", "<issue_start>", "<issue_comment>", "<issue_closed>"),
    *("<jupyter_start>", "<jupyter_text>", "<jupyter_code>", "<jupyter_output>"),
    *("<jupyter_script>", "<empty_output>"),
)
_DS_NAMED = {"bos_token": _BOS_DS, "eos_token": _EOS_DS}
_INST = ("[INST]", "[/INST]")

SPECS: dict[str, Family] = {
    "llama-2": Family(_llama2, _SP, _SP_NAMED, "llama-2", plain=(*_INST, "<<SYS>>", "<</SYS>>")),
    "llama-3": Family(
        partial(_byte_level, patterns=[LLAMA3_SPLIT], bos="<|begin_of_text|>", ignore_merges=True),
        _LLAMA3 + _HEADERS,
        {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"},
        "trl:llama3",
    ),
    "llama-3.2": Family(
        partial(_byte_level, patterns=[LLAMA3_SPLIT], bos="<|begin_of_text|>", ignore_merges=True),
        _LLAMA3
        + special("<|finetune_right_pad_id|>")
        + _HEADERS
        + special("<|eom_id|>", "<|python_tag|>"),
        {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"},
        "trl:llama3_2",
    ),
    "mistral-v1": Family(_llama2, _SP, _SP_NAMED, "mistral-v1", plain=_INST),
    "mistral-v3": Family(
        _mistral3,
        _SP
        + special(*_INST, "[TOOL_CALLS]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]")
        + special("[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[control_8]"),
        _SP_NAMED,
        "mistral-v3",
    ),
    "qwen2.5": Family(
        partial(_byte_level, patterns=[QWEN_SPLIT], nfc=True, trim=False),
        _QWEN,
        {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"},
        "trl:qwen2_5",
    ),
    "qwen3": Family(
        partial(_byte_level, patterns=[QWEN_SPLIT], nfc=True, trim=False),
        _QWEN + ordinary("<tool_response>", "</tool_response>") + _THINK,
        {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"},
        "trl:qwen3",
    ),
    "chatml": Family(
        _llama2,
        _SP + special("<|im_end|>") + ordinary("<|im_start|>"),
        {**_SP_NAMED, "eos_token": "<|im_end|>"},
        "chatml",
    ),
    "gemma-2": Family(
        _gemma,
        _GEMMA + special("<mask>") + ordinary("[@BOS@]", "<unused0>") + _TURNS,
        _GEMMA_NAMED,
        "trl:gemma",
        pieces=_GEMMA_PIECES,
    ),
    "gemma-3": Family(
        _gemma,
        _GEMMA
        + ordinary("<mask>", "[multimodal]", "<unused0>")
        + _TURNS
        + special("<start_of_image>", "<end_of_image>", "<image_soft_token>"),
        _GEMMA_NAMED,
        "trl:gemma3",
        pieces=_GEMMA_PIECES,
    ),
    "phi-3": Family(
        partial(_llama2, bos=False),
        _PHI3,
        {**_SP_NAMED, "eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"},
        "trl:phi3",
    ),
    "phi-4": Family(
        partial(_byte_level, patterns=[LLAMA3_SPLIT], cut="removed"),
        _PHI4,
        {"bos_token": "<|endoftext|>", "eos_token": "<|im_end|>", "pad_token": "<|dummy_85|>"},
        "phi-4",
    ),
    "deepseek-v3": Family(
        partial(_byte_level, patterns=DEEPSEEK_SPLITS, bos=_BOS_DS),
        _DEEPSEEK3,
        {**_DS_NAMED, "pad_token": _EOS_DS},
        "trl:deepseekv3",
    ),
    "deepseek-r1": Family(
        partial(_byte_level, patterns=[QWEN_SPLIT], bos=_BOS_DS, trim=False),
        _DEEPSEEK_R1,
        {**_DS_NAMED, "pad_token": _EOS_DS},
        "trl:deepseek_r1_distill",
    ),
    "smollm2": Family(
        partial(_byte_level, digits=True, tokens_first=True),
        _SMOLLM2,
        {
            "bos_token": "<|im_start|>",
            "eos_token": "<|im_end|>",
            "pad_token": "<|im_end|>",
            "unk_token": "<|endoftext|>",
        },
        "smollm2",
    ),
    "gpt2": Family(
        _byte_level,
        (Control("<|endoftext|>", normalized=True),),
        dict.fromkeys(("bos_token", "eos_token", "unk_token"), "<|endoftext|>"),
    ),
    "base-sentencepiece": Family(_llama2, _SP, _SP_NAMED),
}


def template(name: str) -> str | None:
    """The chat template of a family, None if it has none."""
    where = SPECS[name].template
    if where is None:
        return None
    if where.startswith("trl:"):
        file = files("trl") / "chat_templates" / f"{where.removeprefix('trl:')}.jinja"
        return file.read_text(encoding="utf-8")
    here = Path(__file__).with_name("templates") / f"{where}.jinja"
    return here.read_text(encoding="utf-8")


def fresh(name: str) -> PreTrainedTokenizerFast:
    """A new tokenizer of the family, for a test that changes it."""
    family = SPECS[name]
    raw = family.make([*family.controls, *family.pieces])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, **family.named)
    tokenizer.chat_template = template(name)
    return tokenizer


FAMILIES: dict[str, Build] = {name: cache(partial(fresh, name)) for name in SPECS}
"""A builder for every family. Each gives the same object every time: ``fresh`` makes a new one."""

CHAT = tuple(name for name, family in SPECS.items() if family.template)
"""The families that have a chat template."""


def control_strings(name: str) -> tuple[str, ...]:
    """What a text must not be able to put into a rendered dialogue, as text."""
    family = SPECS[name]
    return (*(control.text for control in family.controls), *family.plain)
