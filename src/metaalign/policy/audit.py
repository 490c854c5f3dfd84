"""A resolution as a record that can be kept, compared and checked."""

import msgspec

from metaalign.policy.explain import explain
from metaalign.schema import SCHEMA_VERSION, Resolution


def audit(resolution: Resolution) -> bytes:
    """The resolution as JSON for audit: all its fields, its sentences, and the schema's version.

    ``matrix`` is the label of the Matrix and ``matrix_hash`` its content, ``explanation`` what
    ``explain`` says. Keys are sorted and nothing depends on the machine or the time, so equal
    resolutions give equal bytes. The record decodes as a ``Resolution``.
    """
    record = {
        **msgspec.structs.asdict(resolution),
        "explanation": explain(resolution),
        "schema": SCHEMA_VERSION,
    }
    return msgspec.json.format(msgspec.json.encode(record, order="sorted"), indent=2)
