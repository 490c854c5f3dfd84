"""Datasets on the Hugging Face hub: which commit, and their rows, streamed."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from metaalign.schema import MissingExtra, UserError

_COMMIT_DIGITS = 40


def stream(name: str, revision: str, config: str, split: str, place: str) -> Iterator[Any]:
    """The rows of ``split`` as dictionaries. Nothing is stored but what ``datasets`` caches.

    Args:
        name: ``OWNER/NAME``, or a folder that is a copy of a dataset.
        revision: branch, tag or commit; empty for the newest.
        config: configuration; empty for the dataset's default.
        split: name of the split.
        place: how to name it in errors.

    Raises:
        UserError: no network, no such dataset, configuration or split, or no right to read it.
    """
    datasets = _library()
    local = Path(name).is_absolute()
    if not local and Path(name).is_dir():  # the library would read that
        raise UserError(f"{place} is also a folder here: write hf:./{name} to read it, or move it")
    try:
        rows = datasets.load_dataset(
            name,
            config or None,
            split=split,
            # Pinned to what ``commit`` says, so that the manifest names what was read.
            revision=None if local else commit(name, revision),
            streaming=True,
        )
        yield from rows
    except UserError:
        raise
    except Exception as error:  # datasets, httpx, pyarrow and fsspec each raise their own
        raise _unreachable(place, error) from error


def count(name: str, revision: str, config: str, split: str) -> int:
    """Rows of a split as the dataset's card gives them; 0 if it does not say."""
    try:
        builder = _library().load_dataset_builder(name, config or None, revision=revision or None)
        splits: Mapping[str, Any] = builder.info.splits or {}
        return int(splits[split].num_examples) if split in splits else 0
    except UserError:
        raise
    except Exception:  # a number for a progress bar: reading will say what is wrong
        return 0


@lru_cache(maxsize=64)
def commit(name: str, revision: str) -> str:
    """The hash of the commit that ``revision`` names now; asked for once in a process.

    A full hash is its own answer and needs no network. Raises ``UserError`` as ``stream``.
    """
    if len(revision) == _COMMIT_DIGITS and set(revision) <= set("0123456789abcdef"):
        return revision
    _library()
    from huggingface_hub import HfApi

    try:
        info = HfApi().dataset_info(name, revision=revision or None, timeout=20)
    except Exception as error:  # the same: many libraries below
        raise _unreachable(f"hf:{name}", error) from error
    return str(info.sha)


def _library() -> Any:
    try:
        import datasets  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingExtra("curate", "datasets") from error
    return datasets


def _unreachable(place: str, error: Exception) -> UserError:
    lines = str(error).strip().splitlines()
    reason = lines[0].rstrip(".") if lines else type(error).__name__
    return UserError(
        f"cannot read {place} from the Hugging Face hub ({reason}): check the name and the "
        "network, set HF_TOKEN if it is gated, or give a downloaded file instead"
    )
