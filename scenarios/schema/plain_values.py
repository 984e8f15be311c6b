"""From Python's own types to what the file of a scenario can say."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import PurePath
from typing import Any

import numpy as np

from ...controllers.contract import Controller
from ...simulators.field_types import Section
from .controller_registry import name_of_choice


def plain_data(value: Any) -> Any:
    """Convert a value, and what is in it, to numbers, texts, lists and mappings as they stand in a file.

    Parameters
    ----------
    value : object
        Also `datetime.timedelta`, `datetime`, numpy scalars and arrays, paths, sections of the schema, and classes of
        controllers. What has no place in a file stays as it is, to be refused with its key.

    Returns
    -------
    object
    """
    if isinstance(value, Mapping):
        return {key: plain_data(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_data(item) for item in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Section):
        return value.model_dump(mode="json", exclude_unset=True)
    if isinstance(value, timedelta):
        return f"{value.total_seconds():.12g}s"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, type) and issubclass(value, Controller):
        return name_of_choice(value)
    return value
