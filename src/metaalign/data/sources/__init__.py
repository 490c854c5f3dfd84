"""The public datasets that metaalign reads, one short file each."""

from metaalign.data.sources import (
    habermas,
    hh_rlhf,
    llama_factory,
    moralchoice,
    oasst,
    persona_statements,
    polis,
    truthfulqa,
)
from metaalign.data.sources.place import Place
from metaalign.data.sources.records import (
    Options,
    Quarantine,
    Reader,
    Skipped,
    Source,
    count_records,
    read_records,
)

SOURCES: dict[str, Source] = {
    module.SOURCE.name: module.SOURCE
    for module in (
        habermas,
        hh_rlhf,
        llama_factory,
        moralchoice,
        oasst,
        persona_statements,
        polis,
        truthfulqa,
    )
}
"""Every known source by its name on the command line."""

__all__ = [
    "SOURCES",
    "Options",
    "Place",
    "Quarantine",
    "Reader",
    "Skipped",
    "Source",
    "count_records",
    "read_records",
]
