"""The public datasets that metaalign reads, one short file each."""

from metaalign.data.sources import habermas, hh_rlhf, persona_statements
from metaalign.data.sources.records import Reader, Skipped, Source, count_records, read_records

SOURCES: dict[str, Source] = {
    module.SOURCE.name: module.SOURCE for module in (habermas, hh_rlhf, persona_statements)
}
"""Every known source by its name on the command line."""

__all__ = ["SOURCES", "Reader", "Skipped", "Source", "count_records", "read_records"]
