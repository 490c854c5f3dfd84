"""Groups with personal data in them: dropped, or redacted."""

from collections.abc import Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from metaalign.data.filters.personal import KINDS, Found, What, personal_data
from metaalign.data.filters.texts import places
from metaalign.schema import Group, Preference, TierText, View

_Span = tuple[int, int]


class _Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kinds: tuple[What, ...] = KINDS
    """What is looked for."""
    regions: tuple[str, ...] = ("US",)
    """Countries whose phone numbers count as people there write them; others need their ``+``."""

    def __post_init__(self) -> None:
        if not self.kinds:
            raise ValueError("kinds names nothing to look for")
        for region in self.regions:
            if not (len(region) == 2 and region.isascii() and region.isupper()):
                raise ValueError(f"{region!r} is no code of a country: write US, GB, DE, ...")

    def _find(self, text: str) -> list[Found]:
        return personal_data(text, self.kinds, self.regions)


class PersonalData(_Settings, frozen=True, kw_only=True, tag_field="name", tag="personal-data"):
    """Drops groups with personal data in any text."""

    def reasons(self, groups: Sequence[Group]) -> list[str]:
        return [next(self._found(group), "") for group in groups]

    def _found(self, group: Group) -> Iterator[str]:
        for place, text in places(group):
            for found in self._find(text):
                yield f"{found.what}: {place}"


class RedactPersonalData(
    _Settings, frozen=True, kw_only=True, tag_field="name", tag="redact-personal-data"
):
    """Puts ``[e-mail address]`` and the like in the place of personal data, in every text.

    A preference keeps the span of its words, moved; its span is None if its words were touched.
    """

    def apply(self, groups: Sequence[Group]) -> list[Group]:
        return [self._redacted(group) for group in groups]

    def _redacted(self, group: Group) -> Group:
        if not any(self._find(text) for _, text in places(group)):
            return group
        turns = [self._text(turn.text) for turn in group.turns]
        return replace(
            group,
            turns=tuple(replace(t, text=x.text) for t, x in zip(group.turns, turns, strict=True)),
            candidates=tuple(replace(c, text=self._text(c.text).text) for c in group.candidates),
            views=tuple(self._view(view, turns) for view in group.views),
        )

    def _view(self, view: View, turns: Sequence["_Redacted"]) -> View:
        said = {one.tier: self._text(one.text) for one in view.meta_prompt.tiers}
        tiers = tuple(TierText(tier, one.text) for tier, one in said.items())

        def moved(preference: Preference) -> Preference:
            wording = self._text(preference.wording).text
            where = said.get(preference.tier)
            if preference.turn is not None:
                where = turns[preference.turn] if preference.turn < len(turns) else None
            span = preference.span
            if span is not None and where is not None:
                span = where.moved(span) if wording == preference.wording else None
            return replace(preference, wording=wording, span=span)

        return replace(
            view,
            meta_prompt=replace(view.meta_prompt, tiers=tiers),
            preferences=tuple(map(moved, view.preferences)),
        )

    def _text(self, text: str) -> "_Redacted":
        """``text`` redacted until nothing more is found: one find can hide another."""
        done = _Redacted(text)
        while found := self._find(done.text):
            done.redact(found)
        return done


class _Redacted:
    """A text, and where its characters have gone."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._rounds: list[list[Found]] = []

    def redact(self, found: list[Found]) -> None:
        for one in reversed(found):
            self.text = f"{self.text[: one.start]}[{one.what}]{self.text[one.end :]}"
        self._rounds.append(found)

    def moved(self, span: _Span) -> _Span | None:
        """Where ``span`` of the first text is now; None if some of it is gone."""
        start, end = span
        for found in self._rounds:
            if any(one.start < end and start < one.end for one in found):
                return None
            shift = sum(
                len(one.what) + 2 - (one.end - one.start) for one in found if one.end <= start
            )
            start, end = start + shift, end + shift
        return start, end
