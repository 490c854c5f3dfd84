"""The licences of a dataset's sources, and what they make of the whole.

The card's header holds the licence of every source in one line that a program reads back, so that
they travel with a dataset that is split, merged, repaired or exported.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from metaalign.schema import UserError

UNKNOWN = "unknown"
"""What is written where nobody has said which licence it is."""
HEADER_KEY = "metaalign_licences"

_CC = "https://creativecommons.org"
_LINKS = {
    "apache-2.0": "https://www.apache.org/licenses/LICENSE-2.0",
    "bsd-3-clause": "https://opensource.org/license/bsd-3-clause",
    "cc0-1.0": f"{_CC}/publicdomain/zero/1.0/",
    "cc-by-3.0": f"{_CC}/licenses/by/3.0/",
    "cc-by-4.0": f"{_CC}/licenses/by/4.0/",
    "cc-by-sa-3.0": f"{_CC}/licenses/by-sa/3.0/",
    "cc-by-sa-4.0": f"{_CC}/licenses/by-sa/4.0/",
    "cc-by-nd-4.0": f"{_CC}/licenses/by-nd/4.0/",
    "cc-by-nc-4.0": f"{_CC}/licenses/by-nc/4.0/",
    "cc-by-nc-sa-4.0": f"{_CC}/licenses/by-nc-sa/4.0/",
    "cc-by-nc-nd-4.0": f"{_CC}/licenses/by-nc-nd/4.0/",
    "gpl-3.0": "https://www.gnu.org/licenses/gpl-3.0.html",
    "mit": "https://opensource.org/license/mit",
    "odbl": "https://opendatacommons.org/licenses/odbl/1-0/",
    "odc-by": "https://opendatacommons.org/licenses/by/1-0/",
}
"""Identifiers that the hub knows, and where each text stands."""


def link(licence: str) -> str:
    """Where the text of a licence stands; empty if that is not known."""
    return _LINKS.get(licence.lower(), "")


def is_unknown(licence: str) -> bool:
    """True if nobody has said which licence it is."""
    return licence.strip().lower() in ("", UNKNOWN, "not stated")


def is_non_commercial(licence: str) -> bool:
    """True if the licence forbids commercial use: ``cc-by-nc-4.0``."""
    return "nc" in licence.lower().split("-")


def of_the_whole(licences: Iterable[str]) -> tuple[str, ...]:
    """What the header of a card names as the licence of a set made from all of these.

    A set can be used only as its strictest part can. So one non-commercial licence stands for all
    others, and where several are non-commercial, or one has no identifier on the hub, it is
    ``other``: the card's table says what holds for which source. One unknown licence makes the
    whole unknown. Otherwise each is named.
    """
    names = sorted({licence.strip().lower() for licence in licences})
    strict = [name for name in names if is_non_commercial(name)]
    if any(map(is_unknown, names)):
        return ("other",) if strict else (UNKNOWN,)
    chosen = strict or names
    if any(name not in _LINKS for name in chosen) or len(strict) > 1:
        return ("other",)
    return tuple(chosen)


def header_line(licences: Mapping[str, str]) -> str:
    """The line of a card's header that ``licences_of`` reads; YAML reads it as a mapping."""
    return f"{HEADER_KEY}: {json.dumps(dict(sorted(licences.items())))}"


def licences_of(dataset: Path, sources: Iterable[str] = ()) -> dict[str, str]:
    """The licence of every source of the dataset at ``dataset``, by the source's name.

    Read from its card; for what that does not say, from the adapters that metaalign has. What
    neither knows is ``unknown``.
    """
    said = _from_card(dataset / "README.md")
    return said | {name: _known(name) for name in sources if name not in said}


def _from_card(card: Path) -> dict[str, str]:
    try:
        lines = card.read_text("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UserError(f"cannot read {card}: {error.strerror or error}") from error
    for line in lines:
        key, _, value = line.partition(": ")
        if key == HEADER_KEY:
            try:
                found = json.loads(value)
            except ValueError:
                return {}
            if isinstance(found, dict):
                return {str(name): str(licence) for name, licence in found.items()}
    return {}


def _known(source: str) -> str:
    # Here, because the adapters take longer to import than a card to write.
    from metaalign.data.sources import SOURCES

    if source == "sandbox":
        return "Apache-2.0"  # as metaalign itself, which has made it
    return SOURCES[source].licence if source in SOURCES else UNKNOWN


def origin(source: str) -> str:
    """Where a source's public dataset is found; empty for one that metaalign has no adapter for."""
    from metaalign.data.sources import SOURCES

    return SOURCES[source].origin if source in SOURCES else ""
