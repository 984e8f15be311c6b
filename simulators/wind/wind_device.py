"""Wind turbines as a kind of device."""

from __future__ import annotations

from math import inf

from ..device_kind import Command, DeviceKind, Layer

WIND = DeviceKind(
    name="wind",
    sign=+1,
    label="wind",
    colour="#117733",
    section="evhub.simulators.wind.wind_section:WindSection",
    simulator="evhub.simulators.wind.wind_simulator:WindSimulator",
    parameters="evhub.simulators.wind.wind_setup:device_parameters",
    plates="evhub.simulators.wind.wind_setup:plates",
    measures=("p_kw", "failed"),
    commands=(
        Command("wind_limit_kw", "p_limit_kw", "upper limit of the turbine", neutral=inf, low=0.0, high="rated_kw"),
    ),
    trips=True,
    layers=(Layer("positive", "wind", "wind_kwh", "wind energy", source=True, place=12),),
    forecast="available_kw",
    abilities=("curtailable",),
)
