"""Transfer switches: what a scenario says of one, over a maker's published settings."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from ...simulators.ats import ats_model
from ..errors import nearest
from ..schema import scenario_schema
from ..schema.yaml_file import read_yaml

SETTINGS = Path(str(files("evhub.simulators") / "data" / "ats"))
"""Folder of the makers' settings."""


def maker_settings() -> dict[str, Path]:
    """Return the files of the makers' settings that come with evhub, by name."""
    return {path.stem: path for path in sorted(SETTINGS.glob("*.yaml"))}


def ats_parameters(
    grid: scenario_schema.GridSection, secondary: scenario_schema.SecondarySection | None
) -> ats_model.AtsParameters:
    """Build the parameters of a hub's transfer switch and of the secondary source behind it.

    Parameters
    ----------
    grid : schema.GridSection
        Its section of the scenario.
    secondary : SecondarySection or None
        The source behind it.

    Returns
    -------
    ats.AtsParameters

    Raises
    ------
    ValueError
        When there are no settings of that name.
    """
    section = grid.ats
    published = _published(section.settings)
    switch: dict[str, Any] = {
        "detection_s": section.detection,
        "transfer_s": section.transfer_s,
        "stabilise_s": section.stabilise_s,
        "retransfer_s": section.retransfer_s,
        "open_transition_s": section.open_transition_s,
    }
    switch |= _left_out(published["ats"], {"detection_s": "detection"}, section)
    if secondary is None:
        return ats_model.AtsParameters(**switch)
    source: dict[str, Any] = {
        "start_s": secondary.start,
        "overload_factor": secondary.overload_factor,
        "overload_trip_s": secondary.overload_trip,
        "reverse_trip_kw": secondary.reverse_kw,
        "reverse_trip_s": secondary.reverse_trip,
        "restart_s": secondary.restart,
        "max_restarts": secondary.restarts,
        "cooldown_s": secondary.cooldown,
    }
    source |= _left_out(published["secondary"], {"start_s": "start", "cooldown_s": "cooldown"}, secondary)
    return ats_model.AtsParameters(**switch, secondary=ats_model.SecondarySource(rated_kw=secondary.rated_kw, **source))


def _left_out(published: dict, keys: dict[str, str], section: scenario_schema.Section) -> dict:
    """Published settings whose keys (where they differ in the scenario) the scenario leaves out."""
    return {name: value for name, value in published.items() if keys.get(name, name) not in section.model_fields_set}


def _published(name: str | None) -> dict[str, dict]:
    if name is None:
        return {"ats": {}, "secondary": {}}
    known = maker_settings()
    if name not in known:
        raise ValueError(f"ats.settings must be one of {', '.join(known)}, got {name!r}{nearest(name, known)}")
    data = read_yaml(known[name])
    return {"ats": data.get("ats") or {}, "secondary": data.get("secondary") or {}}
