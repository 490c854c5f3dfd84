"""Dialogue to token ids, loss mask and tiers, made together; and back.

Control tokens are put in by id, and all text is tokenised by a tokenizer that knows none of them
(see ``plain``). So no text can become a control token. How the tiers are carried is the layout's
business: ``native`` for tokenizers that have the tier markers, ``template`` for all others.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol
from weakref import WeakKeyDictionary

from metaalign.prompt.native import NativeLayout, has_markers
from metaalign.prompt.parts import DEFAULT_TIERS, Layout, Part, Read, Run, runs
from metaalign.prompt.plain import PlainText, Tokens, plain_text
from metaalign.prompt.template import TemplateLayout
from metaalign.schema import Dialogue, UserError


class Tokenizer(Protocol):
    """What the renderer uses of a Hugging Face fast tokenizer."""

    @property
    def added_tokens_decoder(self) -> Any: ...
    @property
    def backend_tokenizer(self) -> Any: ...
    def __call__(self, text: list[str], **kwargs: Any) -> Any: ...
    def __len__(self) -> int: ...
    def get_added_vocab(self) -> dict[str, int]: ...


class Encoded(NamedTuple):
    """A rendered dialogue of n tokens."""

    ids: tuple[int, ...]
    """n token ids."""
    loss_mask: tuple[bool, ...]
    """n flags: True on the tokens of responses and on the end token that closes each."""
    tiers: tuple[str, ...]
    """n names: who speaks, ``system_info``, ``user_info``, ``user`` or ``assistant``."""


def encode(
    dialogue: Dialogue, tokenizer: Tokenizer, tiers: Sequence[str] = DEFAULT_TIERS
) -> Encoded:
    """Render one dialogue; see ``encode_batch``."""
    return encode_batch([dialogue], tokenizer, tiers)[0]


def encode_batch(
    dialogues: Iterable[Dialogue], tokenizer: Tokenizer, tiers: Sequence[str] = DEFAULT_TIERS
) -> list[Encoded]:
    """Render dialogues with one call of the tokenizer.

    A dialogue that ends with the user's turn ends with the open place of an answer, ready to
    generate; one that ends with an assistant turn ends with what closes it.

    Args:
        tiers: the tiers that there are, highest first; more must be declared here.

    Raises:
        UserError: a dialogue has no turns, a tier has no marker or is not declared, a text is not
            valid Unicode, or the model's chat template does not take such a talk.
    """
    layout = layout_of(tokenizer, tiers)
    plain = plain_text(tokenizer)
    rows = [runs(layout.parts(_checked(dialogue))) for dialogue in dialogues]
    texts = [item for row in rows for item in row if isinstance(item, Run)]
    tokens = iter(plain.encode([run.text for run in texts], [run.borders for run in texts]))
    return [_assembled(row, tokens) for row in rows]


def parse(
    ids: Sequence[int] | str, tokenizer: Tokenizer, tiers: Sequence[str] = DEFAULT_TIERS
) -> Dialogue:
    """Read the dialogue back from the ids that ``encode`` made of it.

    ``tiers`` are those that ``encode`` was given. From a rendered text it is read by the tokenizer
    first, which takes everything that looks like a control token for one: only ids are proof of who
    spoke. In a native layout an answer that was never closed is read as it stands.

    Raises:
        UserError: the ids are no rendered dialogue.
    """
    read: Sequence[int] = (
        tokenizer([ids], add_special_tokens=False)["input_ids"][0] if isinstance(ids, str) else ids
    )
    return layout_of(tokenizer, tiers).read(list(_stretches(read, plain_text(tokenizer))))


def end_token_id(tokenizer: Tokenizer) -> int:
    """The id of the token that closes an answer."""
    return layout_of(tokenizer).end


_layouts: WeakKeyDictionary[Any, tuple[object, Layout]] = WeakKeyDictionary()


def layout_of(tokenizer: Tokenizer, tiers: Sequence[str] = DEFAULT_TIERS) -> Layout:
    """Native if the tokenizer has the markers of these tiers, else by its chat template.

    Made once for a tokenizer; anew if its tokens, its template or the tiers change.
    """
    key = len(tokenizer), getattr(tokenizer, "chat_template", None), tuple(tiers)
    known = _layouts.get(tokenizer)
    if known is None or known[0] != key:
        known = _layouts[tokenizer] = key, _new_layout(tokenizer, tiers)
    return known[1]


def _new_layout(tokenizer: Tokenizer, tiers: Sequence[str]) -> Layout:
    # A model that was trained with markers has those of the default tiers at least.
    if has_markers(tokenizer):
        return NativeLayout(tokenizer, tiers)
    return TemplateLayout(tokenizer, plain_text(tokenizer).control, tiers)


def _checked(dialogue: Dialogue) -> Dialogue:
    if not dialogue.turns:
        raise UserError("a dialogue needs at least one turn: there is nothing to answer")
    return dialogue


def _assembled(row: Sequence[Part | Run], tokens: Iterator[Tokens]) -> Encoded:
    ids: list[int] = []
    mask: list[bool] = []
    tiers: list[str] = []
    for item in row:
        if isinstance(item, Run):
            found = next(tokens)
            ids += found.ids
            first = 0
            for owner, last in zip(item.owners, (*found.cuts, len(found.ids)), strict=True):
                mask += (owner.loss,) * (last - first)
                tiers += (owner.tier,) * (last - first)
                first = last
        elif item.control is not None:
            ids.append(item.control)
            mask.append(item.loss)
            tiers.append(item.tier)
    return Encoded(tuple(ids), tuple(mask), tuple(tiers))


def _stretches(ids: Sequence[int], plain: PlainText) -> Iterator[Read]:
    control = {token.id for token in plain.control.values()}
    text: list[int] = []
    for index in ids:
        if index in control:
            if text:
                yield plain.decode(text)
                text = []
            yield int(index)
        else:
            text.append(index)
    if text:
        yield plain.decode(text)
