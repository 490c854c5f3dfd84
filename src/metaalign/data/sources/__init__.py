"""The public datasets that metaalign reads, one short file each."""

from metaalign.data.sources import (
    beavertails,
    chat_jsonl,
    habermas,
    helpsteer2,
    helpsteer3,
    hh_rlhf,
    llama_factory,
    metaalign_paper,
    moralchoice,
    multifaceted,
    oasst,
    persona_statements,
    pku_saferlhf,
    polis,
    prism,
    trl,
    truthfulqa,
    ultrafeedback,
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
        beavertails,
        chat_jsonl,
        habermas,
        helpsteer2,
        helpsteer3,
        hh_rlhf,
        llama_factory,
        metaalign_paper,
        moralchoice,
        multifaceted,
        oasst,
        persona_statements,
        pku_saferlhf,
        polis,
        prism,
        trl,
        truthfulqa,
        ultrafeedback,
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
