"""Power that the loads and capacitors of an OpenDSS deck draw from each phase."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .opendss_elements import DeckValue, RefusedError


class Drawn(NamedTuple):
    """Power of a load or capacitor: bus, power of phases a, b, c [kW + j kvar], whether it needs a neutral."""

    bus: str
    power: np.ndarray
    neutral: bool


def load(properties: DeckValue) -> Drawn:
    """Read a load at constant power, command by command as in OpenDSS.

    The last of kw, kvar and kva in a command decides which values set the load, and the power factor that follows is
    kept when a later command changes kw or kva.
    """
    power, kva, factor, last = complex(10.0, 0.0), 0.0, 0.88, "kw"
    for command in properties.commands():
        last = next((key for key, _ in reversed(command.element.pairs) if key in ("kw", "kvar", "kva")), last)
        p_kw, q_kvar = command.number("kw", power.real), command.number("kvar", power.imag)
        kva = command.number("kva", kva)
        if last == "kvar":
            power = complex(p_kw, q_kvar)
            factor = np.copysign(p_kw / abs(power), p_kw * q_kvar) if power else factor
            continue
        factor = command.number("pf", factor)
        if not 0 < abs(factor) <= 1:
            raise RefusedError("pf", f"{factor:g}", "must be > 0 and <= 1, negative for capacitive loads")
        p_kw = kva * abs(factor) if last == "kva" else p_kw
        power = complex(p_kw, p_kw * np.sqrt(1.0 - factor**2) / factor)
    if power.real < 0.0:
        raise RefusedError("kw", f"{power.real:g}", "must be >= 0; what generates is a unit of the study")
    return _drawn(properties, power)


def capacitor(properties: DeckValue) -> Drawn:
    """Read a capacitor at nominal voltage; its steps add up, except those that `states` switches off."""
    if "bus2" in properties:
        bus, *other = properties.text("bus2").split(".")
        if bus != properties.text("bus1").split(".")[0] or not other or any(node != "0" for node in other):
            raise RefusedError("bus2", properties.text("bus2"), "must be left out: series capacitors are not modelled")
    steps = properties.numbers("kvar")
    states = properties.text("states", " ".join("1" for _ in steps)).replace(",", " ").split()
    if len(states) != len(steps) or any(state not in ("0", "1") for state in states):
        raise RefusedError("states", properties.text("states"), f"must be 0 or 1 for each of {len(steps)} steps")
    return _drawn(properties, -1j * sum(kvar for kvar, state in zip(steps, states, strict=True) if state == "1"))


def _drawn(properties: DeckValue, power: complex) -> Drawn:
    """Power by phase; between two phases it is shared as in balanced voltages."""
    phases = properties.phases()
    delta = properties.delta()
    if delta and phases == 2:
        raise RefusedError("phases", 2, "must be 1 or 3 in delta")
    two = delta or properties.text("bus1").count(".") > 1
    bus, at = properties.bus("bus1", phases, between=two)
    share = np.zeros(3, dtype=complex)
    between = phases == 1 and len(at) == 2
    if delta and phases == 1 and not between:
        raise RefusedError("bus1", properties.text("bus1"), "must have two nodes in delta")
    if between:
        first, second = (np.exp(-2j * np.pi / 3 * node) for node in at)
        share[at[0]], share[at[1]] = first / (first - second), second / (second - first)
    else:
        share[list(at)] = 1.0 / phases
    return Drawn(bus, power * share, not between and phases < 3)
