"""Stationary batteries as a kind of device."""

from __future__ import annotations

from ..device_kind import Command, DeviceKind, Layer

BATTERY = DeviceKind(
    name="bess",
    sign=+1,
    label="battery",
    colour="#009E73",
    section="evhub.simulators.battery.battery_section:Bess",
    simulator="evhub.simulators.battery.battery_simulator:BatterySimulator",
    parameters="evhub.simulators.battery.battery_setup:device_parameters",
    plates="evhub.simulators.battery.battery_setup:plates",
    measures=("p_kw", "soc", "failed"),
    commands=(
        Command(
            "bess_kw",
            "p_set_kw",
            "set point of the battery, > 0 discharges",
            low="p_min_kw",
            high="p_max_kw",
            split="capability",
        ),
        Command("bess_q_kvar", "q_set_kvar", "reactive set point of the battery, > 0 feeds the hub bus", unit="kvar"),
    ),
    trips=True,
    layers=(
        Layer(
            "positive",
            "battery discharging",
            "bess_out_kwh",
            "battery discharged",
            source=True,
            place=20,
            logged="bess_discharged_kwh",
        ),
        Layer(
            "negative",
            "battery charging",
            "bess_in_kwh",
            "battery charged",
            source=False,
            place=30,
            logged="bess_charged_kwh",
        ),
    ),
    price="bess",
    priced="both",
    cost_text="battery use",
    golden=("soc",),
    contract=True,
    abilities=("stores", "dispatchable", "feeds_back"),
)
