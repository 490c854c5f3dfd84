"""Values for a JSON schema: plausible, and the same for the same name."""

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, cast

Schema = Mapping[str, Any]

_VOCABULARY = (
    "a about after all also and another any as at because before begin better both bread bridge "
    "but by can care change city clear cold come could day deep different early easy enough "
    "every few find first for friend from garden gentle give go good great green hand have help "
    "high home house how if in it keep kind know large last learn leave less light like little "
    "long look make many may mean more morning most mountain much must near need new next no "
    "north not often old one only open or other our over own paper part people place plain "
    "point quiet rather reason rest river road room round same say sea season see short side "
    "simple slow small some song south start still stone story strong summer take tell than "
    "that the them then there these thing think this through time to together too tree true two "
    "under until up use very walk want warm water way well what when where which while white "
    "why will wind window winter with without word work world would write year young"
)
_WORDS = _VOCABULARY.split()
_LONGEST_ARRAY = 3
"""Entries that an array gets beyond its least, at most."""
_DEEPEST = 12
"""A schema that speaks of itself is followed so far."""


def sentences(random: Random, words: int) -> str:
    """About so many words, in sentences."""
    made: list[str] = []
    while words > 0:
        length = min(max(words, 3), random.randint(5, 14))
        picked = random.choices(_WORDS, k=length)
        made.append(" ".join(picked).capitalize() + ".")
        words -= length
    return " ".join(made)


def fill(schema: Schema, random: Random) -> Any:
    """A value that is valid under ``schema``, as far as its keywords are known here.

    They are those that servers hold models to, and ``uniqueItems``; a ``pattern`` is not followed.
    """
    return _fill(schema, random, schema, 0)


def _fill(schema: Schema, random: Random, root: Schema, depth: int) -> Any:
    if "$ref" in schema:
        return _fill(_referred(schema["$ref"], root), random, root, depth + 1)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return random.choice(schema["enum"])
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return _fill(_chosen(schema[several], random, depth), random, root, depth + 1)
    if "allOf" in schema:
        merged = {name: value for part in schema["allOf"] for name, value in part.items()}
        return _fill(merged, random, root, depth + 1)
    return _MAKERS[_type_of(schema, depth)](schema, random, root, depth)


def _object(schema: Schema, random: Random, root: Schema, depth: int) -> dict[str, Any]:
    properties = cast(Mapping[str, Schema], schema.get("properties", {}))
    required = schema.get("required", ())
    return {
        name: _fill(part, random, root, depth + 1)
        for name, part in properties.items()
        if name in required or depth < _DEEPEST
    }


def _array(schema: Schema, random: Random, root: Schema, depth: int) -> list[Any]:
    made = [_fill(part, random, root, depth + 1) for part in schema.get("prefixItems", ())]
    items = schema.get("items")
    if not items:
        return made
    deep = depth >= _DEEPEST
    least = int(schema.get("minItems", 0 if deep else min(1, schema.get("maxItems", 1))))
    most = least if deep else int(schema.get("maxItems", least + _LONGEST_ARRAY))
    length = random.randint(least, max(least, min(most, least + _LONGEST_ARRAY)))
    if schema.get("uniqueItems") and "enum" in items:
        return random.sample(items["enum"], min(length, len(items["enum"])))
    return made + [_fill(items, random, root, depth + 1) for _ in range(length - len(made))]


def _string(schema: Schema, random: Random, root: Schema, depth: int) -> str:
    least = int(schema.get("minLength", 0))
    most = schema.get("maxLength")
    text = sentences(random, random.randint(6, 24))
    while len(text) < least:
        text += " " + sentences(random, 12)
    if most is None or len(text) <= int(most):
        return text
    cut = text[: int(most)]
    return cut.rstrip().ljust(least, ".") if len(cut.rstrip()) < least else cut.rstrip()


def _integer(schema: Schema, random: Random, root: Schema, depth: int) -> int:
    low = schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)
    high = schema.get("maximum", schema.get("exclusiveMaximum", low + 11) - 1)
    step = int(schema.get("multipleOf", 1))
    first = -(-int(low) // step)
    return step * random.randint(first, max(first, int(high) // step))


def _number(schema: Schema, random: Random, root: Schema, depth: int) -> float:
    low = float(schema.get("minimum", schema.get("exclusiveMinimum", 0.0)))
    high = float(schema.get("maximum", schema.get("exclusiveMaximum", low + 1.0)))
    # Halfway between, so that bounds that are left out stay out.
    return low + (high - low) * random.uniform(0.01, 0.99)


_MAKERS: Mapping[str, Callable[[Schema, Random, Schema, int], Any]] = {
    "object": _object,
    "array": _array,
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": lambda schema, random, root, depth: random.random() < 0.5,
    "null": lambda schema, random, root, depth: None,
}


def _type_of(schema: Schema, depth: int) -> str:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, str):
        return kind
    named: Sequence[str] = kind
    return "null" if "null" in named and depth >= _DEEPEST else named[0]


def _chosen(choices: Sequence[Schema], random: Random, depth: int) -> Schema:
    simple = [one for one in choices if one.get("type") not in ("object", "array", None)]
    return random.choice(simple if depth >= _DEEPEST and simple else choices)


def _referred(name: str, root: Schema) -> Schema:
    found: Any = root
    for part in name.removeprefix("#").strip("/").split("/"):
        found = found[part] if part else found
    return cast(Schema, found)
