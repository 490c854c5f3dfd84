"""Compatible: the model's own chat template and its roles carry the tiers. For models as they are.

The template is rendered once for every shape of talk, with a placeholder for each message. What
stands between the placeholders is the template's own: its control tokens are put in by id, and its
text is tokenised together with the messages, as ordinary text. So harmless messages give the ids of
``apply_chat_template``, and no message can give a control token.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from metaalign.prompt.fences import (
    above_query,
    fence_strings,
    read_first_message,
    read_system_message,
    split_tiers,
    system_message,
)
from metaalign.prompt.guard import Guard
from metaalign.prompt.parts import START, Part, Read
from metaalign.prompt.plain import ControlToken
from metaalign.schema import SYSTEM_INFO, Dialogue, MetaPrompt, TierText, Turn, UserError

_PLACEHOLDER = re.compile("\ue000(\\d+)\ue001")
_MARKUP = re.compile(r"\[/?[A-Z][A-Z_]*\]|<</?[A-Z]+>>|</?\w+>")
"""Text by which templates without control tokens tell one message from the next."""
_DATE = "26 Jul 2024"
"""What Llama 3's template takes for today, in place of the clock: equal dialogues, equal ids."""


class Refused(Exception):
    """The template does not take this shape of talk."""


class _Item(NamedTuple):
    """A piece of a skeleton: the template's own part, or the place of a message."""

    part: Part
    message: int | None = None


Skeleton = tuple[_Item, ...]


class TemplateLayout:
    """The layout of a tokenizer that has a chat template, or of one that has none.

    The System Info of a template that takes no system message goes to the first user message.
    """

    def __init__(
        self, tokenizer: Any, control: Mapping[str, ControlToken], tiers: Sequence[str]
    ) -> None:
        self._tokenizer = tokenizer
        self._control = control
        self._tiers = tuple(tiers)
        names = sorted(map(re.escape, control), key=len, reverse=True)
        self._split = re.compile(f"({'|'.join(names)})") if names else None
        self._skeletons: dict[tuple[bool, int], Skeleton] = {}
        try:
            self._skeleton(False, 1)
            answered = self._skeleton(False, 4)
        except Refused as error:
            raise UserError(
                f"the chat template of this model takes no plain talk: {error}"
            ) from None
        self.end = _end(answered, tokenizer)
        self._system = self._takes_system()
        self._guard = Guard(tuple(dict.fromkeys([*fence_strings(tiers), *self._markup()])))

    def parts(self, dialogue: Dialogue) -> list[Part]:
        _check_turns(dialogue.turns)
        above, below = split_tiers(self._closed(dialogue.meta_prompt), self._tiers)
        system = bool(above) and self._system
        contents: list[list[Part]] = [system_message(above)] if system else []
        for number, turn in enumerate(dialogue.turns):
            fences = below if system else [*above, *below]
            content = [] if number else above_query(fences)
            text = self._guard.close(turn.text)
            contents.append([*content, Part(turn.role, text, loss=turn.role == "assistant")])
        parts: list[Part] = []
        for part, message in self._skeleton(system, len(dialogue.turns)):
            parts += (part,) if message is None else contents[message]
        return parts

    def read(self, stretches: Sequence[Read]) -> Dialogue:
        controls, texts = _alternate(stretches)
        for system in (False, True) if self._system else (False,):
            for count in self._possible(system, controls):
                contents = _match(self._skeleton(system, count), controls, texts)
                if contents is None:
                    continue
                dialogue = self._dialogue(contents, system)
                # Another shape of talk can match too; only the right one gives the same again.
                if _alternate(_as_read(self.parts(dialogue))) == (controls, texts):
                    return dialogue
        raise UserError("these ids are no dialogue that this chat template renders")

    def _dialogue(self, contents: Sequence[str], system: bool) -> Dialogue:
        above = read_system_message(contents[0], self._tiers) if system else []
        first, *more = contents[system:]
        below, query = read_first_message(first, self._tiers)
        said = [TierText(tier.tier, self._guard.open(tier.text)) for tier in (*above, *below)]
        texts = [self._guard.open(text) for text in (query, *more)]
        turns = [Turn("assistant" if i % 2 else "user", text) for i, text in enumerate(texts)]
        return Dialogue(MetaPrompt(tuple(said)), tuple(turns))

    def _closed(self, meta_prompt: MetaPrompt) -> MetaPrompt:
        return MetaPrompt(
            tuple(TierText(t.tier, self._guard.close(t.text)) for t in meta_prompt.tiers)
        )

    def _possible(self, system: bool, controls: Sequence[int]) -> range:
        """The numbers of turns that give so many control tokens."""

        def counted(turns: int) -> int:
            return sum(i.part.control is not None for i in self._skeleton(system, turns))

        numbers = range(1, 2 * len(controls) + 4)
        low = bisect_left(numbers, len(controls), key=counted)
        return numbers[low : bisect_right(numbers, len(controls), lo=low, key=counted)]

    def _skeleton(self, system: bool, turns: int) -> Skeleton:
        """The template around a talk of ``turns`` turns, user first; open if the user is last."""
        found = self._skeletons.get((system, turns))
        if found is None:
            roles = ["system"] * system + ["assistant" if i % 2 else "user" for i in range(turns)]
            found = self._skeletons[system, turns] = self._built(roles)
        return found

    def _built(self, roles: Sequence[str]) -> Skeleton:
        pieces = _PLACEHOLDER.split(self._rendered(roles))
        if [int(number) for number in pieces[1::2]] != list(range(len(roles))):
            raise Refused("it does not show every message once")
        tiers = [SYSTEM_INFO if role == "system" else role for role in roles]
        items: list[_Item] = []
        for number, literal in enumerate(pieces[::2]):
            before = tiers[number - 1] if number else None
            after = tiers[number] if number < len(tiers) else None
            if after is None and roles[-1] == "user":
                after = "assistant"  # the open place of an answer
            items += [_Item(part) for part in self._literal(literal, before, after)]
            if number < len(tiers):
                items.append(_Item(Part(tiers[number]), number))
        return tuple(items)

    def _literal(self, text: str, before: str | None, after: str | None) -> list[Part]:
        """The template's own text between two messages, as parts.

        It belongs to the message before up to its first control token, if it has one, and to the
        message after from there on. What ends an answer counts for the loss.
        """
        pieces = self._split.split(text) if self._split else [text]
        parts: list[Part] = []
        owner = before if before is not None and len(pieces) > 1 else after or before or START
        strip = False
        for number, piece in enumerate(pieces):
            token = self._control.get(piece) if number % 2 else None
            opened = any(part.control is not None for part in parts)
            loss = owner == before == "assistant" and not opened
            if token is not None:
                tier = START if not parts and before is None and self._is_start(token) else owner
                parts.append(Part(tier, control=token.id, loss=loss))
                strip = token.rstrip
                owner = after or owner
            else:
                follower = (
                    self._control.get(pieces[number + 1]) if number + 1 < len(pieces) else None
                )
                piece = piece.lstrip() if strip else piece
                piece = piece.rstrip() if follower is not None and follower.lstrip else piece
                parts += [Part(owner, piece, loss=loss and follower is not None)] if piece else []
        return parts

    def _is_start(self, token: ControlToken) -> bool:
        return bool(token.id == getattr(self._tokenizer, "bos_token_id", None))

    def _rendered(self, roles: Sequence[str]) -> str:
        contents = [f"\ue000{number}\ue001" for number in range(len(roles))]
        if not getattr(self._tokenizer, "chat_template", None):
            return _plain_talk(roles, contents, self._tokenizer)
        messages = [
            {"role": role, "content": content}
            for role, content in zip(roles, contents, strict=True)
        ]
        try:
            text: str = self._tokenizer.apply_chat_template(
                messages,
                tokenize=False,
                add_generation_prompt=roles[-1] == "user",
                date_string=_DATE,
            )
        except ImportError:
            raise
        except Exception as error:  # whatever a template raises, by raise_exception or by accident
            raise Refused(" ".join(str(error).split()) or type(error).__name__) from error
        return text

    def _takes_system(self) -> bool:
        """Whether a system message is taken, and is told apart from the query after it."""
        try:
            skeleton = self._skeleton(True, 1)
        except Refused:
            return False
        return all(separator.strip() for separator in _separators(skeleton))

    def _markup(self) -> list[str]:
        """The text by which the template, not its control tokens, tells messages apart."""
        found: list[str] = []
        for skeleton in (self._skeleton(self._system, 1), self._skeleton(self._system, 4)):
            for separator in _separators(skeleton):
                found += _MARKUP.findall(separator) or [separator.rstrip(" ")]
            found += [m for item in skeleton for m in _MARKUP.findall(item.part.text)]
        return found


def _plain_talk(roles: Sequence[str], contents: Sequence[str], tokenizer: Any) -> str:
    """What stands in for the chat template of a model that has none."""
    if tokenizer.eos_token is None:
        raise Refused("its tokenizer has neither a chat template nor an end token")
    text: str = tokenizer.bos_token if _begins_with_bos(tokenizer) else ""
    opened = False
    for role, content in zip(roles, contents, strict=True):
        text += "\n\n" if opened else ""
        text += content if role == "system" else f"{role.title()}:\n{content}"
        text += tokenizer.eos_token if role == "assistant" else ""
        opened = True
    return text + ("\n\nAssistant:\n" if roles[-1] == "user" else "")


def _begins_with_bos(tokenizer: Any) -> bool:
    bos = tokenizer.bos_token_id
    return bos is not None and tokenizer([""], add_special_tokens=True)["input_ids"][0][:1] == [bos]


def _end(answered: Skeleton, tokenizer: Any) -> int:
    """The control token after the last answer; the tokenizer's own end token if there is none."""
    for item in reversed(answered):
        if item.message is not None:
            break
        if item.part.loss and item.part.control is not None:
            return item.part.control
    if tokenizer.eos_token_id is None:
        raise UserError("this tokenizer has no token that ends an answer")
    return int(tokenizer.eos_token_id)


def _separators(skeleton: Skeleton) -> list[str]:
    """The text between two messages that no control token parts."""
    found: list[str] = []
    text: str | None = None
    for item in skeleton:
        if item.part.control is not None:
            text = None
        elif item.message is None:
            text = None if text is None else text + item.part.text
        else:
            found += [] if text is None else [text]
            text = ""
    return found


def _as_read(parts: Sequence[Part]) -> list[Read]:
    return [part.text if part.control is None else part.control for part in parts]


def _alternate(stretches: Sequence[Read]) -> tuple[list[int], list[str]]:
    """The control tokens, and the texts before, between and after them."""
    controls: list[int] = []
    texts = [""]
    for stretch in stretches:
        if isinstance(stretch, int):
            controls.append(stretch)
            texts.append("")
        else:
            texts[-1] += stretch
    return controls, texts


def _match(skeleton: Skeleton, controls: Sequence[int], texts: Sequence[str]) -> list[str] | None:
    """The messages, if the skeleton gives these control tokens and texts around them."""
    mine: list[int] = []
    patterns = [""]
    for item in skeleton:
        if item.part.control is not None:
            mine.append(item.part.control)
            patterns.append("")
        else:
            patterns[-1] += re.escape(item.part.text) if item.message is None else "(.*?)"
    if mine != list(controls):
        return None
    contents: list[str] = []
    for pattern, text in zip(patterns, texts, strict=True):
        match = re.fullmatch(pattern, text, re.DOTALL)
        if match is None:
            return None
        contents += match.groups()
    return contents


def _check_turns(turns: Sequence[Turn]) -> None:
    for number, turn in enumerate(turns):
        if turn.role != ("assistant" if number % 2 else "user"):
            raise UserError(
                f"turn {number + 1} is the {turn.role}'s: a chat template takes turns that "
                "alternate, the user's first; join neighbours, or train the model with tier markers"
            )
