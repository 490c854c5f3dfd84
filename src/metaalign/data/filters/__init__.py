"""Stages that drop groups, or change what is in them: one short file each.

A reason reads ``what: fact``, such as ``near-duplicate: hh-12, 0.91``: what is the same for many
groups and can be counted, the fact is this group's. Personal data is never part of it.
docs/filters.md has all stages with their settings.
"""

from collections.abc import Mapping

from msgspec import Struct

from metaalign.data.filters.agreement import Agreement
from metaalign.data.filters.contamination import Contamination
from metaalign.data.filters.control_tokens import ControlTokens
from metaalign.data.filters.exact import ExactDuplicates
from metaalign.data.filters.informative import Informative
from metaalign.data.filters.language import Language
from metaalign.data.filters.length import Length
from metaalign.data.filters.near import NearDuplicates
from metaalign.data.filters.personal_data import PersonalData, RedactPersonalData
from metaalign.data.filters.semantic import SemanticDuplicates

_TYPES: tuple[type[Struct], ...] = (
    Informative,
    ExactDuplicates,
    NearDuplicates,
    SemanticDuplicates,
    Contamination,
    Length,
    Language,
    ControlTokens,
    PersonalData,
    RedactPersonalData,
    Agreement,
)

STAGES: Mapping[str, type[Struct]] = {str(one.__struct_config__.tag): one for one in _TYPES}
"""Every stage by its name in a recipe's ``[[stages]]``."""
