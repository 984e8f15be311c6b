"""Charging connectors as a kind of device; the EVs at them come from the simulator of arrivals."""

from __future__ import annotations

from math import inf

from ..device_kind import Command, DeviceKind, Layer

CHARGE_POINT = DeviceKind(
    name="cp",
    key="connectors",
    sign=-1,
    label="EV charging",
    colour="#CC79A7",
    section="evhub.simulators.charge_point.charge_point_section:ConnectorsSection",
    simulator="evhub.simulators.charge_point.charge_point_simulator:ChargePointSimulator",
    measures=("p_kw", "connector_p_kw", "energy_kwh", "soc"),
    commands=(
        Command(
            "connector_limit_kw",
            "limit_kw",
            "limit of each connector; negative asks to discharge",
            width="connector",
            neutral=inf,
        ),
        Command(
            "connector_q_kvar",
            "q_set_kvar",
            "reactive set point of each connector, > 0 feeds the hub bus",
            unit="kvar",
            width="connector",
        ),
    ),
    takes=(("arrivals", "session", "session"), ("arrivals", "faulted", "faulted")),
    phases=True,
    layers=(
        Layer("positive", "EV charging", "charging_kwh", "EV charging", source=False, place=20, logged="cp_kwh"),
        Layer("negative", "EVs feeding back", "v2g_kwh", "fed back by EVs", source=True, place=50, logged="-"),
    ),
    price="charging",
    priced="net",
    earns=True,
    cost="charging",
    cost_text="revenue: charging",
    contract=True,
    abilities=("feeds_back",),
)
