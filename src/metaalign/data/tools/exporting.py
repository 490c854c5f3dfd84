"""A dataset in the layouts that other programs read. Everything is streamed, one sample at a time.

trl     {split}.jsonl: ``prompt``, ``chosen``, ``rejected`` as messages, the conversational
        preference format of TRL. Chat templates know no tiers, so these share messages by fences.
chat    {split}.jsonl: ``messages`` with the roles ``system`` and ``user_info``, ``chosen`` and
        ``rejected`` as texts; the source ``chat-jsonl`` reads it back.
paper   {family}_{split}.json: the four families of the paper, one JSON array each; ``instruction``
        with ``output`` for fine-tuning, with ``chosen`` and ``rejected`` for preferences.
jsonl   {split}.jsonl: the groups themselves, one a line, nothing lost.
"""

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, Literal

import msgspec
from msgspec import Struct

from metaalign.data.card import header
from metaalign.data.licences import is_non_commercial, is_unknown, licences_of
from metaalign.data.manifest import Manifest, writing
from metaalign.data.recipe import TRAINING, Layout
from metaalign.data.samples import samples_of
from metaalign.data.store import check_dataset, iter_groups, split_names
from metaalign.prompt import neutralise, to_messages
from metaalign.prompt.fences import above_query, fence_strings, split_tiers, system_message
from metaalign.prompt.guard import Guard
from metaalign.prompt.neutral import ANY
from metaalign.schema import (
    SYSTEM_INFO,
    USER_INFO,
    Event,
    MetaPrompt,
    Progress,
    Sample,
    TierText,
    Turn,
    UserError,
    silent,
)

Format = Literal["trl", "chat", "paper", "jsonl"]
Record = Mapping[str, Any]

FORMATS: Mapping[str, str] = {
    "trl": "prompt, chosen and rejected as messages, for TRL's DPOTrainer",
    "chat": "messages with the role user_info, chosen and rejected",
    "paper": "a JSON file for every family and split, as the paper has them",
    "jsonl": "the groups, one a line",
}
_encoder = msgspec.json.Encoder()


class Exported(Struct, frozen=True):
    """What was written."""

    files: dict[str, int]
    """Records by file."""
    notes: tuple[str, ...] = ()


def export(
    dataset: Path,
    to: str,
    out: Path,
    *,
    layout: Layout | None = None,
    progress: Progress = silent,
) -> Exported:
    """Write ``dataset`` to the new folder ``out``, in one of ``FORMATS``.

    ``layout`` is for ``paper``: two-stage keeps sft and dpo apart, one-stage has all of training
    for fine-tuning; two-stage if not given, where the dataset has both. Beside the files stands a
    card with the licences of all sources. Raises ``UserError`` for another format, for an ``out``
    that is there already, and for a dataset that does not have the splits of the layout.
    """
    if to not in FORMATS:
        raise UserError(f"there is no format {to!r}: choose {', '.join(FORMATS)}")
    if layout is not None and to != "paper":
        raise UserError(f"a layout has no effect on {to}: it is for paper")
    manifest = check_dataset(dataset)
    write = {"trl": _trl, "chat": _chat, "jsonl": _jsonl}.get(to)
    with _new_folder(out) as folder, _Files(folder) as files:
        # Writing happens while the notes are drawn.
        notes = list(
            write(dataset, files, progress) if write else _paper(dataset, files, layout, progress)
        )
        files.close()
        _write_card(folder, dataset, manifest, to, files.records)
    return Exported(dict(files.records), tuple(notes))


class _Files:
    """Open files by name, and how many records each has."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._stack = folder, ExitStack()
        self._open: dict[str, IO[bytes]] = {}
        self.records: Counter[str] = Counter()

    def __enter__(self) -> "_Files":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def line(self, name: str, data: bytes) -> None:
        """Append a line of JSON."""
        self._write(name, data + b"\n")

    def element(self, name: str, data: bytes) -> None:
        """Append an element to the JSON array that the file is."""
        self._write(name, (b",\n" if self.records[name] else b"[\n") + data)

    def _write(self, name: str, data: bytes) -> None:
        path = self._folder / name
        with writing(path):
            if name not in self._open:
                self._open[name] = self._stack.enter_context(path.open("wb"))
            self._open[name].write(data)
        self.records[name] += 1

    def close(self) -> None:
        """End all arrays, and close."""
        for name, file in self._open.items():
            if name.endswith(".json"):
                with writing(self._folder / name):
                    file.write(b"\n]\n")
        with writing(self._folder):
            self._stack.close()


@contextmanager
def _new_folder(out: Path) -> Iterator[Path]:
    """A folder that becomes ``out`` when all is written."""
    out = out.absolute()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} is there already: choose another --out, or move it away")
    partial = out.with_name(f".{out.name}.partial")
    with writing(partial):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
    try:
        yield partial
        with writing(out):
            if out.exists():
                out.rmdir()
            partial.rename(out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _samples(
    dataset: Path, progress: Progress, task: str = "export"
) -> Iterator[tuple[str, Sample]]:
    """Every sample with its split."""
    count = 0
    for split in split_names(dataset):
        for group in iter_groups(dataset, split):
            for sample in samples_of(group):
                yield split, sample
                count += 1
                if count % 5_000 == 0:
                    progress(Event(task, count, 0, "sample", split))
    progress(Event(task, count, count, "sample"))


def _trl(dataset: Path, files: _Files, progress: Progress) -> Iterable[str]:
    closed = 0
    for split, sample in _samples(dataset, progress):
        record, changed = trl_record(sample)
        closed += changed
        files.line(f"{split}.jsonl", _encoder.encode(record))
    if closed:
        yield (
            f"{closed:,} samples hold a control token of some chat template, or a fence: a "
            r"backslash (<\|…|>) keeps it text"
        )


def trl_record(sample: Sample) -> tuple[Record, bool]:
    """A sample in TRL's conversational preference format, and whether a text had to be closed.

    TRL renders with the model's own chat template, where a control token in a text would count as
    one; and a text must not end the fence of its tier.
    """
    tiers = tuple(said.tier for said in sample.meta_prompt.tiers)
    closing = _Closing(tiers)
    said = MetaPrompt(
        tuple(TierText(t.tier, closing.text(t.text)) for t in sample.meta_prompt.tiers)
    )
    above, below = split_tiers(said, tiers)
    fences = "".join(part.text for part in above_query(below))
    messages = []
    if above:
        messages.append(_message("system", "".join(part.text for part in system_message(above))))
    for turn in sample.turns:
        text = closing.text(turn.text)
        if fences and turn.role == "user":
            text, fences = fences + text, ""
        messages.append(_message(turn.role, text))
    record = {
        "prompt": messages,
        "chosen": [_message("assistant", closing.text(sample.chosen))],
        "rejected": [_message("assistant", closing.text(sample.rejected))],
    }
    return record, closing.changed


class _Closing:
    """Keeps texts from being read as anything else, and remembers if one had to be changed."""

    def __init__(self, tiers: tuple[str, ...]) -> None:
        self._guard = _fences(tiers)
        self.changed = False

    def text(self, text: str) -> str:
        closed = neutralise(self._guard.close(text), ANY)
        self.changed = self.changed or closed != text
        return closed


@lru_cache(maxsize=64)
def _fences(tiers: tuple[str, ...]) -> Guard:
    return Guard(fence_strings((SYSTEM_INFO, USER_INFO, *tiers)))


def _message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _chat(dataset: Path, files: _Files, progress: Progress) -> Iterable[str]:
    for split, sample in _samples(dataset, progress):
        record = {
            "messages": to_messages(sample.dialogue),
            "chosen": sample.chosen,
            "rejected": sample.rejected,
            **_origin(sample),
        }
        files.line(f"{split}.jsonl", _encoder.encode(record))
    return ()


def _origin(sample: Sample) -> dict[str, Any]:
    return {
        "group_id": sample.group_id,
        "view": sample.view,
        "source": sample.source,
        "family": sample.family,
        "kind": sample.kind,
    }


def _jsonl(dataset: Path, files: _Files, progress: Progress) -> Iterable[str]:
    count = 0
    for split in split_names(dataset):
        for group in iter_groups(dataset, split):
            files.line(f"{split}.jsonl", _encoder.encode(group))
            count += 1
    progress(Event("export", count, count, "group"))
    return ()


def _paper(
    dataset: Path, files: _Files, layout: Layout | None, progress: Progress
) -> Iterable[str]:
    names = split_names(dataset)
    chosen: Layout = layout or ("two-stage" if {"sft", "dpo"} <= set(names) else "one-stage")
    if chosen == "two-stage" and not {"sft", "dpo"} <= set(names):
        raise UserError(
            f"{dataset} has the splits {', '.join(names)}, and two-stage needs sft and dpo: "
            "metaalign data split --layout two-stage makes them"
        )
    for split, sample in _samples(dataset, progress):
        stage = "sft" if split in TRAINING and chosen == "one-stage" else split
        record = paper_record(sample, answer_alone=stage in ("sft", "train"))
        files.element(f"{sample.family}_{stage}.json", _encoder.encode(record))
    return (f"the layout is {chosen}",)


def paper_record(sample: Sample, *, answer_alone: bool) -> Record:
    """A sample with the fields of instruction tuning; the paper's own are not known.

    ``history`` has the turns before the query, as pairs of what was asked and answered.
    """
    history = _history(sample.turns[:-1])
    tiers = {said.tier: said.text for said in sample.meta_prompt.tiers}
    record: dict[str, Any] = {
        "system_info": tiers.pop(SYSTEM_INFO, ""),
        "user_info": tiers.pop(USER_INFO, ""),
        **tiers,
        "instruction": sample.dialogue.query,
        "history": history,
    }
    if answer_alone:
        record["output"] = sample.chosen
    else:
        record |= {"chosen": sample.chosen, "rejected": sample.rejected}
    return record | {"family": sample.family, "source": sample.source}


def _history(turns: Sequence[Turn]) -> list[list[str]]:
    """Pairs of a person's words and the answer; several turns of one are paragraphs of one."""
    pairs: list[list[str]] = []
    for turn in turns:
        place = int(turn.role == "assistant")
        if not pairs or (place == 0 and pairs[-1][1]):
            pairs.append(["", ""])
        said = pairs[-1][place]
        pairs[-1][place] = f"{said}\n\n{turn.text}" if said else turn.text
    return pairs


def _write_card(
    folder: Path, dataset: Path, manifest: Manifest, to: str, records: Mapping[str, int]
) -> None:
    """A card, so that licences travel with the export, and ``load_dataset`` finds the files."""
    sources = [k.removeprefix("source.") for k in manifest.counts if k.startswith("source.")]
    licences = licences_of(dataset, sources)
    files: dict[str, list[tuple[str, str]]] = {}
    for name in records:
        family, _, split = Path(name).stem.partition("_")
        config = f"{family}_{split}" if to == "paper" else "default"
        files.setdefault(config, []).append(("train" if to == "paper" else Path(name).stem, name))
    text = [
        header(licences, list(files.items()), rows=sum(records.values())),
        f"# A MetaAlign dataset as {to}",
        f"{FORMATS[to].capitalize()}. Exported from the dataset `{manifest.fingerprint}`, whose "
        "own card says how it was made.",
        "\n".join(["| source | licence |", "| --- | --- |",
                   *(f"| {name} | {licence} |" for name, licence in sorted(licences.items()))]),
    ]  # fmt: skip
    if any(map(is_non_commercial, licences.values())):
        text.append("> **Non-commercial**, because of at least one source.")
    if any(map(is_unknown, licences.values())):
        text.append("> **Licence unknown** of at least one source: it may not be passed on.")
    card = folder / "README.md"
    with writing(card):
        card.write_text("\n\n".join(text) + "\n", "utf-8")
