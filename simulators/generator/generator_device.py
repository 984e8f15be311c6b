"""Dispatchable generators as a kind of device."""

from __future__ import annotations

from ..device_kind import Command, DeviceKind, Layer

GENERATOR = DeviceKind(
    name="dg",
    sign=+1,
    label="generator",
    colour="#D55E00",
    section="evhub.simulators.generator.generator_section:GeneratorSection",
    simulator="evhub.simulators.generator.generator_simulator:GeneratorSimulator",
    parameters="evhub.simulators.generator.generator_setup:device_parameters",
    plates="evhub.simulators.generator.generator_setup:plates",
    measures=("p_kw", "failed", "fuel_l"),
    commands=(
        Command("dg_kw", "p_set_kw", "set point of the generator", low=0.0, high="rated_kw", split="merit"),
        Command("dg_q_kvar", "q_set_kvar", "reactive set point of the generator, > 0 feeds the hub bus", unit="kvar"),
    ),
    trips=True,
    layers=(Layer("positive", "generator", "dg_kwh", "generator", source=True, place=30),),
    price="dg",
    cost_text="generator",
    burns=True,
    contract=True,
    abilities=("dispatchable",),
)
