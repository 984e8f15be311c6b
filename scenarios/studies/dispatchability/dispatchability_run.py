"""From a study file to cases, and from cases to a result file: ``evhub dispatchability``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from ....analysis import dispatchability
from ....analysis.dispatchability.feeder import PHASES
from ....analysis.dispatchability.limit_results import StudyResult
from ....analysis.dispatchability.service import service_problems
from ...errors import NOTHING, InputError, Problem, nearest
from ...schema.scenario_loader import problems_of
from ...schema.yaml_file import read_yaml
from ..workers.worker_pool import HERE, WorkerPool
from .dispatchability_build import Builder, LoadedStudy
from .dispatchability_study import DispatchabilityStudy, shipped_studies


def load_study(target: str | Path) -> LoadedStudy:
    """Read and check a study.

    Parameters
    ----------
    target : str or Path
        The name of a shipped study, or the path of a YAML file.

    Returns
    -------
    LoadedStudy

    Raises
    ------
    InputError
        With every problem: file, key, value given and what is allowed.
    """
    known = shipped_studies()
    path = known.get(str(target), Path(target))
    if not path.is_file():
        hint = nearest(str(target), known) or f"; shipped are {', '.join(known)}"
        raise InputError(Problem(str(target), "study", NOTHING, f"must be a file or a shipped study{hint}"))
    data = read_yaml(path)
    try:
        study = DispatchabilityStudy.model_validate(data)
    except ValidationError as error:
        raise InputError(list(problems_of(error, data, str(path), DispatchabilityStudy))) from None
    return Builder(study, path).loaded()


def servable(loaded: LoadedStudy) -> None:
    """Refuse cases in which no PV power at all could serve the demand.

    Raises
    ------
    InputError
        With period, bus and phase.
    """
    solver = loaded.study.options.solver
    problems = [
        Problem(str(loaded.path), f"cases.{name}: {key}", value, allowed)
        for name, case in loaded.cases.items()
        for key, value, allowed in service_problems(case, loaded.periods, solver)
    ]
    if problems:
        raise InputError(problems)


def run_study(
    loaded: LoadedStudy,
    output: Path,
    pool: WorkerPool = HERE,
    *,
    scenarios: int | None = None,
    tell: Callable[[str], None] | None = None,
) -> Path:
    """Solve all cases and the drawn ones, and write the result file.

    Parameters
    ----------
    loaded : LoadedStudy
        The study.
    output : Path
        Result file, replaced if it is there; nothing is written before all is solved.
    pool : WorkerPool
        Where the drawn cases are solved; in this process when left out.
    scenarios : int, optional
        Another number of drawn cases than the study's; 0 for none.
    tell : callable, optional
        Receives the progress as text.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        If some demand cannot be served by any PV power, or cases are to be drawn without a section for it.
    """
    tell = tell or (lambda _: None)
    if scenarios and loaded.study.uncertainty is None:
        allowed = "must be 0 or left out, or the study needs a section uncertainty"
        raise InputError(Problem(str(loaded.path), "--scenarios", scenarios, allowed))
    study, options = loaded.study, solver_options(loaded.study)
    tell("whether all demand can be served")
    servable(loaded)
    text = loaded.path.read_text(encoding="utf-8")
    versions = {name: version(name) for name in ("evhub", "numpy", "scipy", "pyomo", "swiglpk")}
    with dispatchability.StudyWriter(output, study.name, text, loaded.periods, list(study.pvs), versions) as writer:
        limits = {}
        for name, case in loaded.cases.items():
            limits[name] = dispatchability.solve_limits(
                case, **options, tell=lambda message, name=name: tell(f"{name}: {message}")
            )
            writer.case(name, case, limits[name])
        drawn = study.uncertainty
        count = drawn.scenarios if drawn and scenarios is None else scenarios or 0
        if drawn is not None and count:
            spread = dispatchability.Spread(drawn.demand, drawn.radiation, drawn.soc, drawn.capacity, drawn.power)
            campaign = dispatchability.run_campaign(
                loaded.cases[drawn.case],
                spread,
                count,
                drawn.seed,
                solve_all=partial(_solve_all, pool),
                start=limits[drawn.case],
                options=options,
                tell=tell,
            )
            writer.campaign(drawn.case, campaign)
    return output


def _solve_all(
    pool: WorkerPool,
    solve: Callable[[dispatchability.FeederCase], dispatchability.PvLimits],
    cases: Sequence[dispatchability.FeederCase],
    tell: Callable[[str], None],
) -> list[dispatchability.PvLimits]:
    """Solve drawn cases in a pool."""
    total = len(cases)
    names = [f"drawn case {number}" for number in range(1, total + 1)]
    return pool.results(solve, cases, names, lambda done: tell(f"scenario {done} of {total}"))


def rows(result: StudyResult) -> list[dict[str, Any]]:
    """Return a row for each case and phase: the highest limits of all PV units, and the period of the lower one."""
    table = []
    for name, case in result.cases.items():
        for phase, lower, upper in zip(PHASES, *case.totals_kw, strict=True):
            peak = int(np.argmax(lower))
            table.append(
                {
                    "case": name,
                    "phase": phase,
                    "highest_lower_kw": round(float(lower[peak]), 3),
                    "period": result.periods[peak] if lower[peak] > 0 else None,
                    "highest_upper_kw": round(float(upper.max()), 3),
                    "rounds": int(case.numbers["rounds"]),
                    "gap": round(max(case.numbers["gap"], 0.0), 6),
                    "unbalanced": round(max(case.numbers["unbalanced"], 0.0), 6),
                    "seconds": round(result.seconds[name], 2),
                }
            )
    return table


def brief(result: StudyResult) -> list[dict[str, Any]]:
    """Return the rows for people: without rounds, and without gaps and unbalanced power where there are none."""
    table = rows(result)
    empty = {key for key in ("gap", "unbalanced") if not any(row[key] for row in table)} | {"rounds"}
    return [{key: value for key, value in row.items() if key not in empty} for row in table]


def notes(result: StudyResult, tolerance: float) -> list[str]:
    """Return what is not proven: cases with a gap, and limits that leave power unbalanced."""
    lines = []
    for name, case in result.cases.items():
        gap, upper = case.numbers["gap"], case.numbers["objective"]
        if (missing := case.numbers["unbalanced"]) > tolerance:
            lines.append(f"{name}: the limits do not hold: {missing:.3f} kW and kvar may stay unbalanced")
        elif gap >= tolerance:
            detail = f"the limits hold, but wider ones may: objective {upper:.4f}, lower bound {upper - gap:.4f}"
            lines.append(f"{name}: not solved within time and rounds; {detail}")
    if result.expected is not None and (open_still := int((result.expected.gap >= tolerance).sum())):
        lines.append(f"drawn cases: {open_still} of {result.expected.gap.size} not solved within time and rounds")
    return lines


def solver_options(study: DispatchabilityStudy) -> dict[str, Any]:
    """Return the keywords of `solve_limits`."""
    options = study.options
    return {"solver": options.solver, "tolerance": options.tolerance, "time_limit_s": options.time_limit}
