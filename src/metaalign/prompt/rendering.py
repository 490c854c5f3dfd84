"""Dialogue to token ids, loss mask and tiers, made together; and back.

Each field is tokenised alone, as ordinary text, and the control tokens are put between the fields
by id. So no text can become a control token, and the ids of a question are a prefix of the ids of
the question with its answer.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from metaalign.prompt.tokens import DEFAULT_TIERS, END, ROLES, marker, token_id
from metaalign.schema import Dialogue, MetaPrompt, TierText, Turn, UserError

START = "start"
"""The tier of the token that some tokenizers put before everything (``<s>``)."""


class Tokenizer(Protocol):
    """What the renderer uses of a Hugging Face fast tokenizer."""

    def __call__(self, text: list[str], **kwargs: Any) -> Any: ...
    def decode(self, token_ids: Sequence[int], **kwargs: Any) -> Any: ...
    def get_added_vocab(self) -> dict[str, int]: ...


class Encoded(NamedTuple):
    """A rendered dialogue of n tokens."""

    ids: tuple[int, ...]
    """n token ids."""
    loss_mask: tuple[bool, ...]
    """n flags: True on the tokens of responses and on the end token that closes each."""
    tiers: tuple[str, ...]
    """n names: who speaks, ``system_info``, ``user_info``, ``user`` or ``assistant``."""


class _Field(NamedTuple):
    name: str
    text: str
    response: bool
    closed: bool


def encode(dialogue: Dialogue, tokenizer: Tokenizer) -> Encoded:
    """Render one dialogue; see ``encode_batch``."""
    return encode_batch([dialogue], tokenizer)[0]


def encode_batch(dialogues: Iterable[Dialogue], tokenizer: Tokenizer) -> list[Encoded]:
    """Render dialogues with one call of the tokenizer.

    A dialogue that ends with the user's turn ends with the open assistant marker, ready to
    generate; one that ends with an assistant turn ends with the end token.

    Raises:
        UserError: a dialogue has no turns, a tier has no marker, or a text is not valid Unicode.
    """
    rows = [_fields(dialogue) for dialogue in dialogues]
    texts = [field.text for row in rows for field in row if field.text]
    pieces = iter(_tokenise(texts, tokenizer))
    prefix = _prefix(tokenizer)
    control = {
        name: token_id(tokenizer, marker(name)) for name in {f.name for r in rows for f in r}
    }
    end = token_id(tokenizer, END)
    return [_assemble(row, pieces, control, end, prefix) for row in rows]


def parse(
    ids: Sequence[int], tokenizer: Tokenizer, tiers: Sequence[str] = DEFAULT_TIERS
) -> Dialogue:
    """Read the dialogue back from the ids that ``encode`` made of it.

    ``tiers`` are the tiers whose markers the tokenizer was given. An assistant turn that was never
    closed is read as it stands; an open marker at the very end is the place where an answer would
    begin, not a turn.

    Raises:
        UserError: the ids do not begin with a field.
    """
    names = {token_id(tokenizer, marker(name)): name for name in (*tiers, *ROLES)}
    end = token_id(tokenizer, END)
    fields: list[tuple[str, list[int]]] = []
    for index in ids[len(_prefix(tokenizer)) :]:
        if index in names:
            fields.append((names[index], []))
        elif fields:
            fields[-1][1].append(index)
        else:
            raise UserError("these ids are no rendered dialogue: they do not begin with a marker")
    # An empty answer that was closed still holds its end token here, so it stays.
    if fields and fields[-1] == ("assistant", []):
        fields.pop()
    texts = [(name, _text([i for i in body if i != end], tokenizer)) for name, body in fields]
    return Dialogue(
        MetaPrompt(tuple(TierText(name, text) for name, text in texts if name not in ROLES)),
        tuple(_turn(name, text) for name, text in texts if name in ROLES),
    )


def _fields(dialogue: Dialogue) -> list[_Field]:
    if not dialogue.turns:
        raise UserError("a dialogue needs at least one turn: there is nothing to answer")
    fields = [_Field(t.tier, t.text, False, False) for t in dialogue.meta_prompt.tiers]
    for turn in dialogue.turns:
        answer = turn.role == "assistant"
        fields.append(_Field(turn.role, turn.text, answer, answer))
    if dialogue.turns[-1].role == "user":
        fields.append(_Field("assistant", "", False, False))
    return fields


def _assemble(
    row: list[_Field], pieces: Any, control: dict[str, int], end: int, prefix: list[int]
) -> Encoded:
    ids, mask, tiers = list(prefix), [False] * len(prefix), [START] * len(prefix)
    for field in row:
        body = list(next(pieces)) if field.text else []
        ids += [control[field.name], *body]
        mask += [False] + [field.response] * len(body)
        if field.closed:
            ids.append(end)
            mask.append(True)
        tiers += [field.name] * (len(ids) - len(tiers))
    return Encoded(tuple(ids), tuple(mask), tuple(tiers))


def _tokenise(texts: list[str], tokenizer: Tokenizer) -> list[list[int]]:
    if not texts:
        return []
    try:
        for text in texts:
            text.encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"a text is not valid Unicode at character {error.start} "
            f"({error.object[error.start]!a}): replace it before it is sent"
        ) from None
    # split_special_tokens makes the tokenizer read control tokens in a text as ordinary text.
    encoded = tokenizer(
        texts,
        add_special_tokens=False,
        split_special_tokens=True,
        return_attention_mask=False,
        return_token_type_ids=False,
    )
    ids: list[list[int]] = encoded["input_ids"]
    return ids


def _prefix(tokenizer: Tokenizer) -> list[int]:
    """What the tokenizer itself puts before a text: the start token of Llama, nothing for Qwen."""
    bos = getattr(tokenizer, "bos_token_id", None)
    if bos is None:
        return []
    first = tokenizer([""], add_special_tokens=True)["input_ids"][0][:1]
    return [bos] if first == [bos] else []


def _text(ids: list[int], tokenizer: Tokenizer) -> str:
    text: str = tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return text


def _turn(name: str, text: str) -> Turn:
    return Turn("user", text) if name == "user" else Turn("assistant", text)
