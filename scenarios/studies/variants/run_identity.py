"""What makes two runs the same: a digest of the scenario, of the files it names, and of the versions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ...schema.scenario_schema import ScenarioSection

_SILENT = ("title", "source", "expect")
"""What of a scenario changes nothing in its run."""


class RunIdentity:
    """Keys of runs: a digest of the resolved scenario, of the files beside it that it names, and of the versions.

    Parameters
    ----------
    folder : Path
        Folder of the scenario.
    versions : str
        Versions of evhub and what it stands on.
    engine : {"inprocess", "mosaik"}
        What steps the simulators; results are the same, but not their wall-clock figures.
    """

    def __init__(self, folder: Path, versions: str, engine: str = "inprocess"):
        self._folder = folder
        self._made_by = [versions] if engine == "inprocess" else [versions, engine]
        self._digests: dict[str, str] = {}

    def of(self, scenario: ScenarioSection) -> str:
        """Return the key of the run of a scenario."""
        resolved = scenario.model_dump_json(exclude=set(_SILENT))
        files = {text: digest for text in _texts(json.loads(resolved)) if (digest := self._digest(text))}
        whole = json.dumps([resolved, files, *self._made_by], sort_keys=True)
        return hashlib.sha256(whole.encode()).hexdigest()[:20]

    def _digest(self, text: str) -> str:
        """Of the file that a text of the scenario names: data, or the module of a controller of the user's own."""
        if text not in self._digests:
            module, colon, _ = text.partition(":")
            path = self._folder / (module.replace(".", "/") + ".py" if colon else text)
            try:
                self._digests[text] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
            except (OSError, ValueError):
                self._digests[text] = ""  # no path at all
        return self._digests[text]


def _texts(data: Any) -> Iterable[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, Mapping):
        for item in data.values():
            yield from _texts(item)
    elif isinstance(data, list):
        for item in data:
            yield from _texts(item)
