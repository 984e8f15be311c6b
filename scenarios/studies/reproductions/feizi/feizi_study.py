"""Feizi & Khodayar: dispatchability limits of PV in the modified IEEE 13-node feeder; see docs/dispatchability.md."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from .....analysis.dispatchability.limit_figures import expected_limits, limits_by_phase
from .....analysis.dispatchability.limit_results import StudyResult, open_study
from ...dispatchability.dispatchability_run import load_study, run_study
from ...workers.worker_pool import HERE, WorkerPool
from ..published_numbers import PublishedRow, holds, informs, within

TITLE = "PV limits in an unbalanced feeder with EVs (Feizi & Khodayar)"
STUDY = "ieee13-pv-limits"

_CASE_1 = (("a", "10", 32.917), ("a", "11", 10.592), ("c", "10", 146.383), ("c", "11", 107.946))


def reproduce(
    folder: Path, tell: Callable[[str], None], pool: WorkerPool = HERE, scenarios: int | None = None
) -> list[PublishedRow]:
    """Run the shipped study, draw figures 3 to 5 and compare.

    Parameters
    ----------
    folder : Path
        For the result file and the figures.
    tell : callable
        Receives the progress as text.
    pool : WorkerPool
        Where the drawn cases are solved; in this process when left out.
    scenarios : int, optional
        Another number of drawn cases than the paper's 200; 0 for none, and no figure 5.

    Returns
    -------
    list of PublishedRow
    """
    study = open_study(run_study(load_study(STUDY), folder / f"{STUDY}.h5", pool, scenarios=scenarios, tell=tell))
    limits_by_phase(study, ["without-evs", "v2g", "no-v2g"]).savefig(folder / "figure-3.png")
    limits_by_phase(study, ["v2g", "shifted"], "ac", upper=False).savefig(folder / "figure-4.png")
    if study.expected is not None:
        expected_limits(study, "ac").savefig(folder / "figure-5.png")
    return [*_case_1(study), *_case_2(study), *_case_3(study)]


def _lower(study: StudyResult, case: str, phase: str, period: str | None = None):
    """Total lower limits of a phase [kW], in all periods or one."""
    values = study.cases[case].totals_kw[0, "abc".index(phase)]
    return values if period is None else float(values[study.periods.index(period)])


def _case_1(study: StudyResult) -> list[PublishedRow]:
    """Published bounds without EVs; hour 9 is the hour before the first of them on phase A."""
    rows = [
        within("1", f"lower limit, phase {phase.upper()}, hour {hour}", "kW", published, ours, absolute=0.001)
        for phase, hour, published in _CASE_1
        for ours in [_lower(study, "without-evs", phase, hour)]
    ]
    rows.append(
        within("1", "lower limit, phase A, hour 9", "kW", 0.0, _lower(study, "without-evs", "a", "9"), absolute=0.001)
    )
    unbalanced_kw = study.cases["without-evs"].numbers["unbalanced"]
    modelled = int(study.cases["without-evs"].voltage.sum())
    rows.append(
        holds(
            "1",
            "no voltage limit binds",
            "implied",
            f"in {len(study.periods) - modelled} of {len(study.periods)} hours proven",
            modelled == 0,
        )
    )
    rows.append(
        holds(
            "1", "all power is balanced in the worst case", "yes", f"{unbalanced_kw:.1e} kW left", unbalanced_kw < 1e-6
        )
    )
    return rows


def _case_2(study: StudyResult) -> list[PublishedRow]:
    """Statements about EVs; the numbers of this case are not all printed."""
    before, with_v2g = (_lower(study, case, "c", "10") for case in ("without-evs", "v2g"))
    rows = [
        within("2", "fall of the lower limit by V2G, phase C, hour 10", "kW", 30.0, before - with_v2g, absolute=0.001),
        within(
            "2",
            "rise of the lower limit by charging, phase C, hour 11",
            "kW",
            30.0,
            _lower(study, "v2g", "c", "11") - _lower(study, "without-evs", "c", "11"),
            absolute=0.001,
        ),
        within("2", "lower limit, phase A, hour 11", "kW", 10.592, _lower(study, "v2g", "a", "11"), absolute=0.001),
        informs("2", "lower limit, phase A, hour 10", "kW", "not printed", _lower(study, "v2g", "a", "10")),
        informs("2", "lower limit, phase C, hour 10", "kW", "not printed", with_v2g),
        informs("2", "lower limit, phase C, hour 11", "kW", "not printed", _lower(study, "v2g", "c", "11")),
    ]
    min_change_kw = min(
        float(np.min(_lower(study, "no-v2g", phase) - _lower(study, "without-evs", phase))) for phase in "abc"
    )
    rows.append(
        holds(
            "2", "EVs without V2G raise the lower limit or leave it", "in every hour",
            f"least change {min_change_kw:.3f} kW", min_change_kw > -0.001,
        )
    )  # fmt: skip
    arrival = [_lower(study, case, "c", "10") for case in ("v2g", "no-v2g")]
    text = f"{arrival[0]:.3f} instead of {arrival[1]:.3f} kW"
    rows.append(holds("2", "V2G lowers the limit", "phase C, hour 10", text, arrival[0] < arrival[1] - 0.001))
    for phase, hour, direction in (("a", "10", 1), ("a", "11", 1), ("c", "8", -1)):
        old, new = _lower(study, "v2g", phase, hour), _lower(study, "shifted", phase, hour)
        word = "raises" if direction > 0 else "lowers"
        rows.append(
            holds(
                "2", f"coming two hours earlier {word} the limit", f"phase {phase.upper()}, hour {hour}",
                f"{old:.3f} to {new:.3f} kW", direction * (new - old) > 0.001,
            )
        )  # fmt: skip
    return rows


def _case_3(study: StudyResult) -> list[PublishedRow]:
    """Expected limits; the paper only draws them."""
    if study.expected is None:
        return []
    served = study.expected.served
    rows = [informs("3", "drawn cases that can be served", "", "200 drawn", f"{served.sum()} of {served.size}")]
    for phase, hour in (("a", "10"), ("c", "10"), ("c", "11")):
        index = 0, "abc".index(phase), study.periods.index(hour)
        mean, half = study.expected.mean_kw[index], study.expected.half_width_kw[index]
        text = f"{mean:.2f} +- {half:.2f}"
        rows.append(informs("3", f"expected lower limit, phase {phase.upper()}, hour {hour}", "kW", "drawn only", text))
    clips = ", ".join(f"{kind}: {count}" for kind, count in study.expected.clips.items()) or "none"
    rows.append(informs("3", "drawn values moved to what is possible", "", "not told", clips))
    return rows
