"""A dataset on the Hugging Face hub."""

import re
from pathlib import Path
from typing import Any

from metaalign.data.card import TABLES
from metaalign.data.manifest import FILE_NAME
from metaalign.data.store import CARD_NAME, HELD_OUT_NAME, check_dataset
from metaalign.schema import MissingExtra, UserError

FILES = (*(f"{table}/*.parquet" for table in TABLES), CARD_NAME, FILE_NAME, HELD_OUT_NAME)
"""What is uploaded. Not the report of what was dropped: it shows texts that were left out for what
they hold, such as somebody's address."""

_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def push(dataset: Path, name: str, *, private: bool = False) -> str:
    """Upload the dataset folder ``dataset`` as ``OWNER/NAME`` and return its address.

    The repository is made if it is not there; what it has of another dataset's shards goes. The
    token is that of ``HF_TOKEN`` or ``hf auth login``. Raises ``UserError`` for what is no whole
    dataset, without a token or network, and for whatever the hub refuses.
    """
    if not _NAME.fullmatch(name):
        raise UserError(f"{name!r} is no name on the hub: write OWNER/NAME")
    manifest = check_dataset(dataset)
    api = _api()
    try:
        made = api.create_repo(name, repo_type="dataset", private=private, exist_ok=True)
        api.upload_folder(
            repo_id=made.repo_id,
            repo_type="dataset",
            folder_path=str(dataset),
            allow_patterns=list(FILES),
            delete_patterns=[f"{table}/*.parquet" for table in TABLES],
            commit_message=f"metaalign dataset {manifest.fingerprint}",
        )
    except Exception as error:  # the library, httpx and the system each raise their own
        raise UserError(_said(name, error)) from error
    return f"{api.endpoint}/datasets/{made.repo_id}"


def _said(name: str, error: Exception) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None)
    reason = next(iter(str(error).strip().splitlines()), "").rstrip(".") or type(error).__name__
    if status in (401, 403) or type(error).__name__ == "LocalTokenNotFoundError":
        return (
            f"the hub does not let you write {name} ({reason}): set HF_TOKEN to a token that may "
            "write there, or run hf auth login"
        )
    return f"cannot upload {name} ({reason}): check the network and the name, and push again"


def _api() -> Any:
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise MissingExtra("curate", "huggingface_hub") from error
    return HfApi()
