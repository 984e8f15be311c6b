"""PV plants as a kind of device."""

from __future__ import annotations

from math import inf

from ..device_kind import Command, DeviceKind, Layer

PV = DeviceKind(
    name="pv",
    sign=+1,
    label="PV",
    colour="#E69F00",
    section="evhub.simulators.pv.pv_section:PvSection",
    simulator="evhub.simulators.pv.pv_simulator:PvSimulator",
    parameters="evhub.simulators.pv.pv_setup:device_parameters",
    plates="evhub.simulators.pv.pv_setup:plates",
    measures=("p_kw", "failed"),
    commands=(
        Command("pv_limit_kw", "p_limit_kw", "upper limit of PV", neutral=inf, low=0.0, high="rated_kw"),
        Command("pv_q_kvar", "q_set_kvar", "reactive set point of PV, > 0 feeds the hub bus", unit="kvar"),
    ),
    trips=True,
    layers=(Layer("positive", "PV", "pv_kwh", "PV energy", source=True, place=10),),
    results_as={"limit_kw": ("pv", "p_limit_kw")},
    forecast="available_kw",
    contract=True,
    abilities=("curtailable",),
)
