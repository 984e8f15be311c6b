"""The declaration of a kind of device, from which wiring, link, faults, results, checks, tables and pictures follow.

A package adds a device with a folder of its own, a `DeviceKind`, and an entry point of the group ``evhub.devices``.
The declaration names its parts by text, ``package.module:name``, so that a list of kinds is read without importing
any physics.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import numpy as np
from pydantic import PydanticUserError, TypeAdapter

from .field_types import PriceName
from .series import Series

NAME = r"[a-z][a-z0-9_]*"

Ability = Literal["forms_island", "stores", "dispatchable", "curtailable", "feeds_back"]


class DeclarationError(ValueError):
    """A kind that does not fit its simulator, its section, or the kinds that are there already."""


@dataclass(frozen=True)
class Layer:
    """One part of a device's power: an area of the power balance, and a row in the table of energies.

    Parameters
    ----------
    part : {"positive", "negative"}
        Which part of ``p_kw``.
    label : str
        Name in pictures, such as ``battery discharging``.
    energy : str
        Key of the energy in the summary, such as ``bess_out_kwh``.
    text : str
        Name of the energy in the summary, such as ``battery discharged``.
    source : bool
        Feeds the hub bus, otherwise uses.
    place : int
        Place in the picture, from the zero line outwards.
    logged : str
        Column of the periodic log; `energy` when left out, ``"-"`` for none.
    """

    part: Literal["positive", "negative"]
    label: str
    energy: str
    text: str
    source: bool
    place: int = 50
    logged: str = ""


@dataclass(frozen=True)
class Command:
    """A set point of the contract and the input that takes it.

    Parameters
    ----------
    setpoint : str
        Output of the controller, and the field of `Setpoints` of the kinds that have one: ``bess_kw``.
    port : str
        Input of the simulator: ``p_set_kw``.
    description : str
        What it is, for results and documentation.
    unit : str
        Its unit.
    width : str, optional
        What the elements of an array stand for, of kinds that have fields of their own; a scalar when left out.
    neutral : float
        The value that leaves the device to itself.
    low, high : str or float
        Bounds that every set point is clipped to: a number, or a plate of the device (``-`` before it for its
        negative).
    split : str
        How a set point for all devices of the kind is divided among them, where `Setpoints` has one: see
        `evhub.controllers.device_split`. Reactive set points are divided by the ratings, limits by class by the peaks
        of the loads. Devices of other kinds are commanded by their names.
    """

    setpoint: str
    port: str
    description: str
    unit: str = "kW"
    width: str | None = None
    neutral: float = 0.0
    low: str | float = -np.inf
    high: str | float = np.inf
    split: Literal["capability", "merit", "available"] = "available"


@dataclass(frozen=True)
class DeviceKind:
    """A kind of device that hangs on a hub bus.

    Parameters
    ----------
    name : str
        Key of the kind, and the name of a single device of it: ``bess``.
    sign : {1, -1}
        1 where a positive ``p_kw`` feeds the hub bus, -1 where it draws.
    label : str
        What people call it.
    colour : str
        In pictures, ``#RRGGBB``.
    section : str
        Model of its section in the scenario file, ``package.module:Name``; a pydantic model or a union of models.
    key : str
        Key of the section in a hub; `name` when left out.
    simulator : str
        Adapter class, ``package.module:Simulator``; none for a source that the connection itself accounts for.
    parameters : str
        Function ``(section, inputs: DeviceInputs) -> dict`` that gives the keyword arguments of the adapter's device;
        of connectors, whose parameters come with their sessions, the assembly gives them.
    plates : str
        Function ``section -> dict of str to float``. Known keys are checked in every run: ``p_min_kw`` and ``p_max_kw``
        bound ``p_kw``; ``soc_min`` and ``soc_max`` bound ``soc``. ``capacity_kwh`` weights the states of charge of
        several devices, ``rated_kw`` and ``minimum_kw`` are what splits go by.
    q_sign : {1, -1}
        The same as `sign` for ``q_kvar``.
    measures : tuple of str
        Outputs that controllers see.
    commands : tuple of Command
        Set points that it takes.
    takes : tuple of (source, output, input)
        Inputs from other simulators of the hub than the ATS.
    trips : bool
        Takes ``device_fault`` events and reports ``failed``.
    phases : bool
        Gives the power of single-phase parts as ``phase_kw`` to the connection.
    layers : tuple of Layer
        Its energies, and its areas in the power balance.
    price : str
        Tariff of a kWh of its power.
    priced : {"positive", "negative", "both", "net"}
        Which part of ``p_kw`` the price is on; ``both`` counts every kWh in and out, ``net`` lets the negative part
        pay back.
    earns : bool
        The price is revenue of the hub, not cost.
    cost : str
        Key of the cost in the summary after ``cost_``, `name` when left out; `cost_text` is its name there.
    burns : bool
        Emits CO2 of fuel.
    golden : tuple of str
        Outputs kept in golden files beside ``p_kw``.
    results_as : mapping of str to (device, attribute)
        Outputs that stand in the result file under another name.
    forecast : str
        The parameter of its device that is the series of its power [kW]; controllers may expect it.
    contract : bool
        Controllers know it by fields of their own (`Hub`, `Setpoints`, `Site`), as they do five kinds of evhub; others
        stand in ``Hub.devices`` and count in ``Hub.p_other_kw``.
    abilities : tuple of str
        What it may do: ``forms_island`` (carries a hub without grid), ``stores`` (keeps energy), ``dispatchable``
        (gives power on command), ``curtailable`` (gives less than it could, on command), ``feeds_back`` (its power has
        both directions). `evhub list` shows them, and controllers see them in `Site.devices`.
    """

    name: str
    sign: int
    label: str
    colour: str
    section: str
    key: str = ""
    simulator: str = ""
    parameters: str = ""
    plates: str = ""
    q_sign: int = 1
    measures: tuple[str, ...] = ()
    commands: tuple[Command, ...] = ()
    takes: tuple[tuple[str, str, str], ...] = ()
    trips: bool = False
    phases: bool = False
    layers: tuple[Layer, ...] = ()
    price: str = ""
    priced: Literal["positive", "negative", "both", "net"] = "positive"
    earns: bool = False
    cost: str = ""
    cost_text: str = ""
    burns: bool = False
    golden: tuple[str, ...] = ()
    results_as: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    forecast: str = ""
    contract: bool = False
    abilities: tuple[Ability, ...] = ()

    @property
    def section_key(self) -> str:
        """Key of the section in a hub of the scenario file."""
        return self.key or self.name

    @property
    def cost_key(self) -> str:
        """Key of what its use costs, in the summary after ``cost_``."""
        return self.cost or self.name

    def plates_of(self, section: Any) -> dict[str, float]:
        """Return the plates of a device of this kind from its section."""
        return dict(load(self.plates)(section)) if self.plates else {}


class DeviceInputs(Protocol):
    """What the function `DeviceKind.parameters` gets beside the section: times, files, events and random numbers.

    Attributes
    ----------
    hub, name, key : str
        Hub and name of the device, and the key of its section in the scenario file, for messages.
    first : bool
        Whether it is the first of its kind at the hub.
    start : datetime
        First instant, on the local clock.
    until_s : float
        Length of the run [s].
    telemetry_s : float
        How often slow quantities (energy, state of charge) are to be sent while the device is active [s].
    """

    hub: str
    name: str
    key: str
    first: bool
    start: datetime
    until_s: float
    telemetry_s: float

    def series(self, source: Any, key: str, low: float = ..., high: float = ...) -> Series:
        """Return a quantity over time from its section at a sub-key of the device, within bounds."""
        ...

    def file(self, name: str, key: str) -> Path:
        """Return the path of a file that the section names at a sub-key of the device."""
        ...

    def weather(self, name: str, key: str) -> Any:
        """Return the typical year of a weather file that the section names at a sub-key of the device."""
        ...

    def cells(self, name: str) -> Mapping[str, Any]:
        """Return the published parameters of a battery cell that come with evhub."""
        ...

    def faults(self) -> Any:
        """Return the schedule of the device's errors, of `Fault` or None."""
        ...

    def schedule(self, kind: str, default: Any, value: Callable[[Any], Any] = ..., **wanted: Any) -> Any:
        """Return the events of a kind at this hub whose fields are as wanted, as a `Schedule`."""
        ...

    def rng(self) -> np.random.Generator:
        """Return the random numbers of this device: the same for the same seed, whatever else there is."""
        ...


def _bounds(command: Command) -> tuple[str | float, str | float]:
    return command.low, command.high


def check_device(kind: DeviceKind, section: Any, parameters: Mapping[str, Any]) -> None:
    """Compare a declaration with what its functions give for a device.

    Raises
    ------
    DeclarationError
        Naming the plate or parameter that is missing.
    """
    plates = kind.plates_of(section)
    for command in kind.commands:
        for bound in _bounds(command):
            if isinstance(bound, str) and bound.removeprefix("-") not in plates:
                raise DeclarationError(f"{kind.plates} gives no {bound}, which bounds {command.setpoint}")
    if kind.forecast and kind.forecast not in parameters:
        raise DeclarationError(f"{kind.parameters} gives no {kind.forecast}, which forecast needs")


def load(place: str) -> Any:
    """Load the object at ``package.module:name``.

    Raises
    ------
    DeclarationError
        If the module cannot be imported or has no such name.
    """
    module, _, name = place.partition(":")
    try:
        found = import_module(module)
    except (Exception, SystemExit) as error:  # what a module does when it is imported cannot be foreseen
        raise DeclarationError(f"{place}: cannot be imported: {type(error).__name__}: {error}") from error
    if not hasattr(found, name):
        raise DeclarationError(f"{place}: {module} has no {name}")
    return getattr(found, name)


def check_kind(kind: DeviceKind) -> None:
    """Compare a declaration with the ports of its simulator.

    Raises
    ------
    DeclarationError
        Naming every port that is missing, and every part that cannot be imported.
    """
    problems: list[str] = []
    if not re.fullmatch(NAME, kind.name) or not re.fullmatch(NAME, kind.section_key):
        problems.append("name and key must be of small letters, digits and _, beginning with a letter")
    if kind.price and kind.price not in get_args(PriceName):
        problems.append(f"price must be one of {', '.join(get_args(PriceName))}, got {kind.price}")
    if kind.sign not in (1, -1) or kind.q_sign not in (1, -1):
        problems.append(f"sign and q_sign must be 1 or -1, got {kind.sign} and {kind.q_sign}")
    for layer in kind.layers:
        if layer.source != ((layer.part == "positive") == (kind.sign == 1)):
            problems.append(f"layer {layer.label}: source does not fit the sign {kind.sign:+d} of the kind")
    # of connectors the assembly gives the parameters, with their sessions
    if not kind.section or (kind.simulator and not kind.parameters and not kind.contract):
        problems.append("section must be given, and parameters with a simulator")
    if not kind.plates and any(isinstance(bound, str) for command in kind.commands for bound in _bounds(command)):
        problems.append("plates must be given, because a command is bounded by one")
    if kind.section:
        try:
            TypeAdapter(load(kind.section)).json_schema()
        except PydanticUserError as error:
            problems.append(f"section must be a DeviceSection: {error.message.split('. ')[0]}")
        except DeclarationError as error:
            problems.append(str(error))
    for part in (kind.parameters, kind.plates):
        if part:
            try:
                load(part)
            except DeclarationError as error:
                problems.append(str(error))
    if kind.simulator:
        try:
            simulator = load(kind.simulator)
        except DeclarationError as error:
            problems.append(str(error))
        else:
            problems += _missing_ports(kind, simulator)
    problems += _hollow_abilities(kind)
    if problems:
        raise DeclarationError("; ".join(problems))


def _hollow_abilities(kind: DeviceKind) -> list[str]:
    """Return the abilities that nothing else of the declaration bears out."""
    borne_out = {
        "forms_island": True,
        "stores": "soc" in kind.measures,
        "dispatchable": bool(kind.commands),
        "curtailable": bool(kind.commands),
        "feeds_back": {layer.part for layer in kind.layers} == {"positive", "negative"},
    }
    needs = {
        "stores": "soc among measures",
        "dispatchable": "a command",
        "curtailable": "a command",
        "feeds_back": "layers of both directions",
    }
    unknown = [
        f"abilities must be of {', '.join(borne_out)}, got {name}" for name in kind.abilities if name not in borne_out
    ]
    hollow = [name for name in kind.abilities if not borne_out.get(name, True)]
    return unknown + [f"the ability {name} needs {needs[name]}" for name in hollow]


def _missing_ports(kind: DeviceKind, simulator: Any) -> list[str]:
    outputs = {"p_kw": "the balance", "q_kvar": "the balance", **dict.fromkeys(kind.measures, "measures")}
    outputs |= dict.fromkeys(kind.golden, "golden") | dict.fromkeys(kind.results_as, "results_as")
    outputs |= {"phase_kw": "phases"} if kind.phases else {}
    outputs |= {"failed": "trips"} if kind.trips else {}
    inputs = {"bus": "the ATS", **{command.port: "commands" for command in kind.commands}}
    inputs |= {port: "takes" for _, _, port in kind.takes}
    lacking = [
        f"{simulator.__module__} has no {what} {port}, which {needed_by} needs"
        for what, ports, needed in (("output", simulator.outputs, outputs), ("input", simulator.inputs, inputs))
        for port, needed_by in needed.items()
        if port not in ports
    ]
    if kind.trips and "failed" not in kind.measures:
        lacking.append("measures must have failed, because trips is set")
    return lacking
