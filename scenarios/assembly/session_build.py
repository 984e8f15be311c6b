"""The sessions of a hub, from a list, a file or a model, and the connectors and packs that go with them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from ...simulators.arrivals import station_model
from ...simulators.arrivals.session_model import Session, generate
from ...simulators.battery import battery_model
from ...simulators.charge_point import charge_point_model
from ...simulators.charge_point.charge_point_section import ConnectorKind, count_of, group_ranges, kinds_of
from ...simulators.charge_point.charge_point_simulator import PluggedSessions as PlantSessions
from ..engines.controlled_hub import KnownSessions as KnownSessions
from ..errors import NOTHING, InputError, Problem, nearest
from ..files.arrival_profiles import arrival_profiles, read_arrivals
from ..files.session_files import read_sessions
from ..schema import scenario_schema
from ..schema.scenario_loader import Scenario
from .battery_packs import ev_pack


@dataclass(frozen=True)
class Visits:
    """Everything that the sessions of a hub decide.

    Parameters
    ----------
    sessions : list of Session
        In the order of their arrival; their numbers in the results are the places in this list.
    station : StationPlan
        The connectors as places that EVs occupy.
    connectors : charge_point.Parameters
        The connectors as devices.
    plant : PlantSessions
        What the connectors must know of the sessions.
    known : KnownSessions
        What a controller may know of them.
    empty : battery.Parameters
        Stands at a connector without an EV.
    notes : list of str
        How quirks of a file were treated.
    """

    sessions: list[Session]
    station: station_model.StationPlan
    connectors: charge_point_model.ConnectorParameters
    plant: PlantSessions
    known: KnownSessions
    empty: battery_model.BatteryParameters
    notes: list[str]


def visits(
    loaded: Scenario,
    name: str,
    hub: scenario_schema.HubSection,
    start: datetime,
    faults: Iterable[tuple[int, float, float]],
    seed: np.random.SeedSequence,
) -> Visits:
    """Find the sessions of a hub and get its connectors ready for them.

    Parameters
    ----------
    loaded : Scenario
        The scenario, whose folder holds the files.
    name : str
        The hub.
    hub : schema.Hub
        Its section; it has connectors and sessions.
    start : datetime
        First instant, on the local clock.
    faults : iterable of (connector, from_s, until_s)
        When connectors are out of order.
    seed : numpy.random.SeedSequence
        For what is drawn.

    Returns
    -------
    Visits

    Raises
    ------
    InputError
        With every session that does not fit.
    """
    section, kinds = hub.sessions, kinds_of(hub.connectors)
    if section is None or not kinds:
        raise ValueError("needs sessions and connectors")
    key, where = f"hubs.{name}.sessions", loaded.where
    packs = [lru_cache(maxsize=None)(partial(_pack, hub.ev, kind)) for kind in kinds]
    try:
        empty = packs[0](hub.ev.capacity_kwh, kinds[0].largest_kw, 0.0)
    except ValueError as error:
        raise InputError(Problem(where, f"hubs.{name}.ev", NOTHING, str(error))) from None
    drawn, patience = (np.random.default_rng(child) for child in seed.spawn(2))
    found, notes = _found(loaded, section, key, hub.connectors, start, drawn)
    found = [_completed(session, hub.ev, reach_of(session, hub.connectors)) for session in found]
    _check_connectors(found, hub.connectors, key, where)
    return Visits(
        sessions=found,
        station=station_model.station_plan(_places(hub, section), found, faults, patience),
        connectors=charge_point_model.joined(_connectors(kind, hub.grid.nominal_v) for kind in kinds),
        plant=_for_the_plant(found, kinds, packs),
        known=_for_the_controller(found),
        empty=empty,
        notes=notes,
    )


@dataclass(frozen=True)
class Reach:
    """What the connectors that an EV may take give at best.

    Parameters
    ----------
    largest_kw : float
        The most that one of them gives [kW].
    efficiency : float
        The highest, from the hub bus into the battery.
    narrower : bool
        The hub has a connector of a higher power that it may not take.
    """

    largest_kw: float
    efficiency: float
    narrower: bool


def reach_of(session: Session, connectors: scenario_schema.Connectors | None) -> Reach:
    """Find what the connectors give that an EV may take: its own, those of its group, or any.

    Parameters
    ----------
    session : Session
        The EV.
    connectors : Connectors
        Those of its hub.

    Returns
    -------
    Reach
    """
    kinds = kinds_of(connectors)
    accepted = list(kinds)
    if session.connector is not None:
        place = int(np.searchsorted(np.cumsum([kind.count for kind in kinds]), session.connector, side="right"))
        accepted = [kinds[place]]
    elif session.group is not None:
        accepted = [kinds[list(group_ranges(connectors)).index(session.group)]]
    largest_kw = max(kind.largest_kw for kind in accepted)
    return Reach(
        largest_kw,
        max(kind.efficiency for kind in accepted),
        largest_kw < max(kind.largest_kw for kind in kinds),
    )


def _connectors(kind: ConnectorKind, nominal_v: float) -> charge_point_model.ConnectorParameters:
    return charge_point_model.connectors(
        kind.count,
        kind.rated_kw,
        ac=kind.current == "ac",
        phases=kind.phases,
        nominal_v=nominal_v,
        v2g=kind.v2g,
        cabinet_kw=math.inf if kind.cabinet_kw is None else kind.cabinet_kw,
        name=getattr(kind, "name", ""),
    )


def _pack(
    ev: scenario_schema.EvSection, kind: ConnectorKind, capacity_kwh: float, p_max_kw: float, soc_min: float
) -> battery_model.BatteryParameters:
    return ev_pack(ev.pack, capacity_kwh, p_max_kw, kind.efficiency, soc_min, kind.v2g)


def _found(
    loaded: Scenario,
    section: scenario_schema.Sessions,
    key: str,
    connectors: scenario_schema.Connectors | None,
    start: datetime,
    drawn: np.random.Generator,
) -> tuple[list[Session], list[str]]:
    """The sessions as their source tells them, and notes on its quirks."""
    if isinstance(section, scenario_schema.SessionList):
        return _listed(section, key, loaded.where), []
    if isinstance(section, scenario_schema.SessionFile):
        return _from_file(loaded, section, key, connectors, start)
    return _drawn(loaded, section, key, connectors, start, drawn), []


def _drawn(
    loaded: Scenario,
    section: scenario_schema.StochasticSessions,
    key: str,
    connectors: scenario_schema.Connectors | None,
    start: datetime,
    drawn: np.random.Generator,
) -> list[Session]:
    """Sessions of a profile; of several groups each has its own, and random numbers of its own."""
    kinds, duration_s = kinds_of(connectors), loaded.scenario.duration
    if section.groups is None:
        current = kinds[0].current
        if any(kind.current != current for kind in kinds):
            allowed = "must say which EVs come for which group: some connectors are AC, some are DC"
            raise InputError(Problem(loaded.where, f"{key}.groups", NOTHING, allowed))
        profile = read_arrivals(_profile(loaded, section.profile, f"{key}.profile"), current).scaled(section.scale)
        return generate(profile, start, duration_s, drawn)
    found: list[Session] = []
    for group, kind, rng in zip(group_ranges(connectors), kinds, drawn.spawn(len(kinds)), strict=True):
        wanted = section.groups.get(group)
        if wanted is None:
            continue
        own = f"{key}.profile" if wanted.profile is None else f"{key}.groups.{group}.profile"
        path = _profile(loaded, wanted.profile or section.profile, own)
        profile = read_arrivals(path, kind.current).scaled(section.scale if wanted.scale is None else wanted.scale)
        for session in generate(profile, start, duration_s, rng):
            found.append(replace(session, id=f"{group}-{session.id}", group=group))
    return sorted(found, key=lambda session: session.arrival_s)


def _listed(section: scenario_schema.SessionList, key: str, where: str) -> list[Session]:
    found: list[Session] = []
    problems: list[Problem] = []
    names: set[str] = set()
    for n, item in enumerate(section.items):
        name = item.id or f"s{n + 1}"
        if name in names:
            problems.append(Problem(where, f"{key}.items[{n}].id", name, "must be the only one of this name"))
        names.add(name)
        found.append(
            Session(
                id=name,
                arrival_s=item.at,
                departure_s=item.at + item.stay if item.stay is not None else item.until or 0.0,
                energy_kwh=item.energy_kwh,
                connector=None if item.connector is None else item.connector - 1,
                group=item.group,
                p_max_kw=math.inf if item.p_max_kw is None else item.p_max_kw,
                capacity_kwh=item.capacity_kwh,
                soc_arrival=item.soc,
                v2g=item.v2g,
                soc_v2g_min=item.soc_v2g_min,
                departure_estimate_s=item.at + item.stay if item.stay is not None else item.until,
            )
        )
    if problems:
        raise InputError(problems)
    return sorted(found, key=lambda session: session.arrival_s)


def _from_file(
    loaded: Scenario,
    section: scenario_schema.SessionFile,
    key: str,
    connectors: scenario_schema.Connectors | None,
    start: datetime,
) -> tuple[list[Session], list[str]]:
    path = loaded.resolve(section.file, f"{key}.file")
    data = read_sessions(
        path,
        start,
        loaded.scenario.duration,
        format=section.type,
        time_zone=section.time_zone,
        energy=section.energy,
        pin_stations=section.pin_stations,
        n_connectors=count_of(connectors),
        groups=tuple(group_ranges(connectors)),
        bad_rows=section.bad_rows,
    )
    notes = list(data.notes)
    if data.already_plugged:
        notes.append(f"{path.name}: {data.already_plugged} sessions left out, plugged in before the start")
    return data.sessions, notes


def _profile(loaded: Scenario, name: str, key: str) -> Path:
    known = arrival_profiles()
    if name in known:
        return known[name]
    if Path(name).suffix in (".yaml", ".yml"):
        return loaded.resolve(name, key)
    allowed = f"must be one of {', '.join(known)}, or a YAML file{nearest(name, known)}"
    raise InputError(Problem(loaded.where, key, name, allowed))


def _completed(session: Session, ev: scenario_schema.EvSection, reach: Reach) -> Session:
    """Fill in what a source of sessions does not tell of the EV: its pack, its state of charge, what it accepts.

    The energy asked for is at the connector; less the losses of the way it must fit into the pack, whichever connector
    it takes.
    """
    stored_kwh = session.energy_kwh * reach.efficiency
    target = ev.soc_target if session.soc_target is None else session.soc_target
    capacity_kwh, soc = session.capacity_kwh, session.soc_arrival
    if capacity_kwh is None:
        room = target if soc is None else max(1.0 - soc, 1e-3)
        capacity_kwh = max(ev.capacity_kwh, stored_kwh / room)
    if soc is None:
        soc = max(0.0, target - stored_kwh / capacity_kwh)
    accepted_kw = session.p_max_kw
    if ev.p_max_kw is not None and accepted_kw == math.inf:
        accepted_kw = ev.p_max_kw
    if reach.narrower:
        # so that nobody plans more for it than its connector gives
        accepted_kw = min(accepted_kw, reach.largest_kw)
    return replace(session, capacity_kwh=capacity_kwh, soc_arrival=soc, p_max_kw=accepted_kw)


def _check_connectors(
    found: list[Session], connectors: scenario_schema.Connectors | None, key: str, where: str
) -> None:
    """Refuse what cannot be: an energy that does not fit into the pack, two EVs at one connector."""
    problems: list[Problem] = []
    last: dict[int, Session] = {}
    for session in found:
        room_kwh = (session.capacity_kwh or 0.0) * (1.0 - (session.soc_arrival or 0.0))
        if session.energy_kwh * reach_of(session, connectors).efficiency > room_kwh + 1e-6:
            allowed = f"must fit into its pack: {room_kwh:.3g} kWh are free of {session.capacity_kwh:g} kWh"
            problems.append(Problem(where, f"{key}: session {session.id}, energy_kwh", session.energy_kwh, allowed))
        if session.connector is None:
            continue
        before = last.get(session.connector)
        if before is not None and session.arrival_s < before.departure_s:
            allowed = f"must arrive after session {before.id} has left connector {session.connector + 1}"
            allowed += f" at {before.departure_s:g} s"
            problems.append(Problem(where, f"{key}: session {session.id}, at", f"{session.arrival_s:g} s", allowed))
        last[session.connector] = session
    if problems:
        raise InputError(problems)


def _places(hub: scenario_schema.HubSection, section: scenario_schema.Sessions) -> station_model.StationParameters:
    queue = hub.queue
    return station_model.StationParameters(
        count_of(hub.connectors),
        queue_places=math.inf if queue.places is None else queue.places,
        patience_s=math.inf if queue.patience is None else queue.patience,
        patience="constant" if queue.patience is None else "exponential",
        plug_in_s=queue.plug_in,
        authentication_s=queue.authentication,
        wait_keeps="stay" if isinstance(section, scenario_schema.StochasticSessions) else "departure",
        groups=group_ranges(hub.connectors),
    )


def _for_the_plant(
    found: list[Session],
    kinds: Sequence[ConnectorKind],
    packs: Sequence[Callable[..., battery_model.BatteryParameters]],
) -> PlantSessions:
    def of_kind(
        kind: ConnectorKind, pack: Callable[..., battery_model.BatteryParameters]
    ) -> list[battery_model.BatteryParameters]:
        return [
            pack(s.capacity_kwh, min(s.p_max_kw, kind.largest_kw), min(s.soc_v2g_min, s.soc_arrival or 0.0))
            for s in found
        ]

    return PlantSessions(
        energy_kwh=np.array([session.energy_kwh for session in found]),
        p_max_kw=np.array([session.p_max_kw for session in found]),
        soc=np.array([session.soc_arrival for session in found], dtype=float),
        v2g=np.array([session.v2g for session in found], dtype=bool),
        pack=[of_kind(kind, pack) for kind, pack in zip(kinds, packs, strict=True)],
    )


def _for_the_controller(found: list[Session]) -> KnownSessions:
    departure_s = [math.nan if s.departure_estimate_s is None else s.departure_estimate_s for s in found]
    return KnownSessions(
        id=[session.id for session in found],
        energy_kwh=np.array([session.energy_kwh for session in found]),
        p_max_kw=np.array([session.p_max_kw for session in found]),
        departure_s=np.array(departure_s, dtype=float),
        v2g=np.array([session.v2g for session in found], dtype=bool),
    )
