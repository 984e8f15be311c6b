"""The devices of a hub as they stand in its section: one of a kind, or a list of named ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from ...simulators.device_kind import load
from ...simulators.devices import RESERVED, DeviceKind, broken_kinds, kind_names, kinds

ONE, SEVERAL = "a section", "a list of sections"
"""How the two forms are called inside pydantic; no key of a file is called so."""


def one_or_several(section: Any) -> Any:
    """Return the type of a key that holds a section or a list of named sections."""
    several = Annotated[list[section], Field(min_length=1)]
    return Annotated[
        Annotated[section, Tag(ONE)] | Annotated[several, Tag(SEVERAL)],
        Discriminator(lambda value: SEVERAL if isinstance(value, list) else ONE),
    ]


def further_fields() -> dict[str, Any]:
    """Return the fields of a hub for device kinds of other packages, as `pydantic.create_model` takes them."""
    return {
        kind.section_key: (one_or_several(load(kind.section)) | None, Field(default=None, description=kind.label))
        for kind in kinds()
        if not kind.contract
    }


@dataclass(frozen=True)
class DeviceOfHub:
    """A device as its hub's section has it.

    Parameters
    ----------
    kind, name : str
        Its kind, and its own name: that of the kind where it has none.
    section : Section
        Its section.
    key : str
        Where it stands in the section of the hub: ``bess``, ``bess[1]``.
    """

    kind: str
    name: str
    section: Any
    key: str


def devices_in(hub: Any) -> tuple[DeviceOfHub, ...]:
    """Return the devices of a hub, by kind and then in the order of the file."""
    return tuple(device for kind in kinds() for device in _of_kind(hub, kind))


def _of_kind(hub: Any, kind: DeviceKind) -> Iterator[DeviceOfHub]:
    if kind.name == "secondary":
        section_key, content = hub.secondary_source()
    else:
        section_key, content = kind.section_key, getattr(hub, kind.section_key, None)
    if content is None:
        return
    if kind.name == "cp":
        # all groups of connectors are one device
        yield DeviceOfHub(kind.name, kind.name, content, section_key)
        return
    sections = content if isinstance(content, list) else [content]
    for n, section in enumerate(sections):
        key = f"{section_key}[{n}]" if isinstance(content, list) else section_key
        yield DeviceOfHub(kind.name, getattr(section, "name", None) or kind.name, section, key)


def name_problems(devices: Sequence[DeviceOfHub]) -> Iterator[tuple[str, str, str]]:
    """Yield the problems with names of a hub's devices: (key, name, allowed)."""
    count, of_kind = Counter(device.name for device in devices), Counter(device.kind for device in devices)
    for device in devices:
        unnamed = device.name == device.kind
        if unnamed and of_kind[device.kind] > 1:
            yield f"{device.key}.name", device.name, f"given and not {device.kind}: there are several of them"
        elif not unnamed and device.name in (*kind_names(), *RESERVED):
            yield f"{device.key}.name", device.name, "another name: this one is reserved"
        elif count[device.name] > 1 and not unnamed:
            yield f"{device.key}.name", device.name, "the only device of this name in its hub"


def unknown_device(key: str) -> str:
    """Explain why a key of a hub is unknown although a package registers it; empty if none does."""
    return broken_kinds().get(key, "")
