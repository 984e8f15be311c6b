"""From the section ``load`` of a hub to the parameters of a local load."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from ..device_kind import DeviceInputs
from ..series import Series
from . import load_model
from .load_section import LoadSection


def device_parameters(section: LoadSection, inputs: DeviceInputs) -> dict[str, Any]:
    """Return the parameters of a local load, its demand over the run, its switch, and its single-phase loads."""
    demand_kw = _demand_kw(section, inputs)
    band = (section.controllable.band if section.controllable else None) or (0.0, 1.0)
    recovery_kw = float(demand_kw.values[:, load_model.SHIFTABLE].max())
    if section.shiftable is not None and section.shiftable.recovery_kw is not None:
        recovery_kw = section.shiftable.recovery_kw
    parameters = load_model.LoadParameters(
        band_lower=band[0],
        band_upper=band[1],
        recovery_kw=recovery_kw,
        deadlines_s=tuple(_midnights_s(inputs.start, inputs.until_s)),
        power_factor=section.power_factor,
    )
    connected = inputs.schedule(
        "load",
        float(section.connected),
        lambda what: what.scale if what.connected else 0.0,
        device=(None, inputs.name, "load"),
    )
    # one that names no load comes on top of the first, or it would be there as often as there are loads
    devices = (None, inputs.name, "load") if inputs.first else (inputs.name,)
    one_phase_kw = [
        inputs.schedule("phase_load", 0.0, lambda what: what.p_kw, phase=phase, device=devices)
        for phase in ("a", "b", "c")
    ]
    return {"parameters": parameters, "demand_kw": demand_kw, "switch": connected, "one_phase_kw": one_phase_kw}


def _demand_kw(section: LoadSection, inputs: DeviceInputs) -> Series:
    """Return the demand by class, values of shape (k, 4) [kW]."""
    columns = []
    for label in load_model.CLASSES:
        class_section = getattr(section, label)
        if class_section is not None:
            columns.append(inputs.series(class_section.demand, f"{label}.demand", low=0.0))
        elif label == "critical" and section.demand is not None:
            columns.append(inputs.series(section.demand, "demand", low=0.0))
        else:
            columns.append(Series.constant(0.0))
    times = np.unique(np.concatenate([column.change_times(0.0, inputs.until_s) for column in columns]))
    return Series(times, np.column_stack([column.sample(times) for column in columns]), inputs.until_s)


def _midnights_s(start: datetime, until_s: float) -> Iterator[float]:
    """Local midnights of a run [s], by which shiftable load has to be made good."""
    day = start.replace(hour=0, minute=0, second=0, microsecond=0)
    while True:
        day = day + timedelta(days=1)  # on the local clock: a day may have 23 or 25 hours
        after_s = (day.astimezone(UTC) - start.astimezone(UTC)).total_seconds()
        if after_s >= until_s:
            return
        yield after_s
