"""Fields of dataclasses that are also flags: what --help says of them and which values they take."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from typing import Any

WAVEFORM_KINDS = ("1d", "2d")  # of networks; others take embeddings of whole clips


def option(help: str, default: Any = dataclasses.MISSING, **limits: Any) -> Any:
    """A dataclass field that the command line offers as a flag of the same name.

    Without a default the flag is required. A bool is a switch; with the default True its flag is --no_<name>.

    Args:
        help: what the flag does, with its unit.
        limits: any of low, high (both allowed values themselves), below (not allowed itself), choices (or a
            function that gives them), parse (a function that raises ValueError for a malformed text), group
            (of --help), kinds (of networks that have the flag; without it all), required (the flag must be
            given though the field has a default) and before (what versions did that had no such field, where
            that is not the default).
    """
    given = {} if default is dataclasses.MISSING else {"default": default}
    return dataclasses.field(**given, metadata={"help": help, **limits})


def kinds(config_type: type) -> dict[str, type]:
    """Each field's type; of `int | None` the int."""
    found = {}
    for name, hint in typing.get_type_hints(config_type).items():
        if isinstance(hint, types.UnionType):
            hint = next(kind for kind in typing.get_args(hint) if kind is not types.NoneType)
        found[name] = typing.get_origin(hint) or hint
    return found


def defaults(config_type: type) -> dict[str, Any]:
    """The fields that have a default, and it."""
    return {
        field.name: field.default
        for field in dataclasses.fields(config_type)
        if field.default is not dataclasses.MISSING
    }


def before(config_type: type) -> dict[str, Any]:
    """What a stored config means that lacks a field, of the fields that may be missing."""
    fields = {field.name: field.metadata for field in dataclasses.fields(config_type)}
    return {name: fields[name].get("before", value) for name, value in defaults(config_type).items()}


def section_from_json(config_type: type, content: Any, where: str) -> Any:
    """A dataclass of a JSON object; fields that it lacks have the values of versions without them.

    Raises ValueError, which begins with `where`, for anything that is no such section.
    """
    if not isinstance(content, dict):
        raise ValueError(f"{where}: expected an object, found {content!r}")
    types_of = kinds(config_type)
    unknown, missing = set(content) - set(types_of), set(types_of) - set(defaults(config_type)) - set(content)
    if unknown or missing:
        found = f"an unknown entry {min(unknown)!r}" if unknown else f"no entry {min(missing)!r}"
        raise ValueError(f"{where}: found {found}")
    values = before(config_type)
    limits = {field.name: field.metadata for field in dataclasses.fields(config_type)}
    for name, value in content.items():
        kind, optional = types_of[name], defaults(config_type).get(name, 0) is None
        if dataclasses.is_dataclass(kind) and isinstance(value, dict):
            value = section_from_json(kind, value, f"{where}: entry {name!r}")
        elif not (_is_of(kind, value) or (optional and value is None)):
            raise ValueError(f"{where}: entry {name!r}: expected {kind.__name__}, found {value!r}")
        elif not _is_within(limits[name], value):
            raise ValueError(f"{where}: entry {name!r}: found {value!r}, which its flag would not take")
        values[name] = value
    return config_type(**values)


def _is_within(limits: Mapping[str, Any], value: Any) -> bool:
    """Whether a number is within an option's limits; all else is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return True
    in_reach = limits.get("low", -math.inf) <= value <= limits.get("high", math.inf)
    return in_reach and value < limits.get("below", math.inf)


def _is_of(kind: type, value: Any) -> bool:
    """Whether JSON's value is of a kind: a whole number is a float, too, but True is no number."""
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)
