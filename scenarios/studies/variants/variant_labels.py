"""Readable labels: of the values of a field, of settings of controllers, and of the variants they make together."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

LONGEST = 60
"""Longest label that is made of what differs; longer ones are numbered."""


def checked_label(label: Any) -> str:
    """Check a label that the user has given.

    Raises
    ------
    ValueError
        When it is no short line of text.
    """
    if not isinstance(label, str) or not label.strip() or label != label.strip() or not label.isprintable():
        raise ValueError(f"must have labels that are text (in quotes, where they look like numbers), got {label!r}")
    return label


def labels_of_values(values: Sequence[Any]) -> list[str]:
    """Return a label for each value of a field: itself, or what differs where values are sections.

    Parameters
    ----------
    values : sequence
        Values as they stand in a file, all different.

    Returns
    -------
    list of str
        As many, all different.
    """
    if not any(isinstance(value, Mapping | list) for value in values):
        texts = [_text(value) for value in values]
    else:
        texts = differences_of([value if isinstance(value, Mapping) else {"value": value} for value in values])
    labels = [text if 0 < len(text) <= LONGEST else f"value {n}" for n, text in enumerate(texts, start=1)]
    return labels if len(set(labels)) == len(labels) else [f"value {n}" for n in range(1, len(values) + 1)]


def labels_of_settings(sections: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a label for each setting of a controller: its type, and what not all settings of this type share.

    Parameters
    ----------
    sections : sequence of mapping
        Sections of controllers with their ``type``.

    Returns
    -------
    list of str
        As many; equal only where the sections are.
    """
    types = [section["type"] for section in sections]
    labels = [""] * len(sections)
    for name in dict.fromkeys(types):
        places = [n for n, other in enumerate(types) if other == name]
        parameters = [{key: value for key, value in sections[n].items() if key != "type"} for n in places]
        for n, text in zip(places, differences_of(parameters), strict=True):
            labels[n] = f"{name} {text}".strip()
    return labels


def differences_of(sections: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what each section has that not all share, such as ``rated_kw=50 soc=0.5``; all of a section alone."""
    flat = [_flat(section) for section in sections]
    shared = {key for key in flat[0] if len(flat) > 1 and all(other.get(key) == flat[0][key] for other in flat)}
    names = short_names({key: None for section in flat for key in section if key not in shared})
    return [" ".join(f"{names[key]}={text}" for key, text in section.items() if key in names) for section in flat]


def short_names(paths: Mapping[str, Any]) -> dict[str, str]:
    """Return the shortest end of each dotted path that no other path has."""
    ends = {path: [path.split(".", n)[n] for n in range(path.count("."), -1, -1)] for path in paths}
    counts = Counter(end for options in ends.values() for end in options)
    return {path: next((end for end in options if counts[end] == 1), path) for path, options in ends.items()}


def _flat(section: Mapping[str, Any], above: str = "") -> dict[str, str]:
    texts: dict[str, str] = {}
    for key, value in section.items():
        if isinstance(value, Mapping) and value:
            texts |= _flat(value, f"{above}{key}.")
        else:
            texts[f"{above}{key}"] = _text(value)
    return texts


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
