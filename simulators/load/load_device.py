"""Local loads as a kind of device."""

from __future__ import annotations

from math import inf

from ..device_kind import Command, DeviceKind, Layer

LOAD = DeviceKind(
    name="load",
    sign=-1,
    q_sign=-1,
    label="local load",
    colour="#8A8F98",
    section="evhub.simulators.load.load_section:LoadSection",
    simulator="evhub.simulators.load.load_simulator:LoadSimulator",
    parameters="evhub.simulators.load.load_setup:device_parameters",
    commands=(Command("load_limit_kw", "limit_kw", "limit of each load class", width="class", neutral=inf, low=0.0),),
    phases=True,
    layers=(Layer("positive", "local load", "load_kwh", "local load", source=False, place=10),),
    forecast="demand_kw",
    contract=True,
)
