"""The secondary source behind the ATS as a kind of device: it forms the island and balances its power."""

from __future__ import annotations

from ..device_kind import DeviceKind, Layer

SECONDARY = DeviceKind(
    name="secondary",
    sign=+1,
    label="secondary source",
    colour="#56B4E9",
    section="evhub.simulators.ats.ats_section:SecondarySection",
    layers=(
        Layer("positive", "secondary source", "secondary_kwh", "secondary source", source=True, place=40),
        Layer("negative", "into secondary source", "", "", source=False, place=40, logged="-"),
    ),
    price="dg",
    cost_text="secondary source",
    burns=True,
    contract=True,
    abilities=("forms_island",),
)
