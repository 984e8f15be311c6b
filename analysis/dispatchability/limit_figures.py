"""Pictures of a study: limits by phase, the effect of EVs and of shifted stays, expected limits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .feeder import PHASES
from .limit_results import StudyResult

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def limits_by_phase(study: StudyResult, cases: Sequence[str], phases: str = PHASES, upper: bool = True) -> Figure:
    """Draw the total limits of all PV units, one panel for each phase (figures 3 and 4 of Feizi & Khodayar).

    Parameters
    ----------
    study : StudyResult
        The study.
    cases : sequence of str
        Names of the cases.
    phases : str
        Such as ``ac``.
    upper : bool
        Whether upper limits are drawn, too.

    Returns
    -------
    Figure
    """
    figure, panels = _panels(phases)
    for axes, phase in zip(panels, phases, strict=True):
        for number, (name, colour) in enumerate(zip(cases, _COLOURS, strict=False)):
            totals = study.cases[name].totals_kw[:, PHASES.index(phase)]
            width = 1.5 + 1.5 * (min(len(cases), len(_COLOURS)) - 1 - number)  # so that equal curves all show
            _curve(axes, totals[0], colour, f"{name}, lower", width=width)
            if upper:
                _curve(axes, totals[1], colour, f"{name}, upper", "--", width)
    return _finished(figure, panels, study, phases)


def expected_limits(study: StudyResult, phases: str = PHASES) -> Figure:
    """Draw expected total limits with confidence intervals, beside those of the undisturbed case (figure 5).

    Raises
    ------
    ValueError
        If the study has no drawn cases.
    """
    if study.expected is None:
        raise ValueError("the study has no drawn cases")
    figure, panels = _panels(phases)
    for axes, phase in zip(panels, phases, strict=True):
        number = PHASES.index(phase)
        for kind, (word, style) in enumerate((("lower", "-"), ("upper", "--"))):
            totals = study.cases[study.expected.case].totals_kw[kind, number]
            _curve(axes, totals, _COLOURS[0], f"{study.expected.case}, {word}", style, 3.0)
            mean, half = study.expected.mean_kw[kind, number], study.expected.half_width_kw[kind, number]
            _curve(axes, mean, _COLOURS[1], f"expected, {word}", style)
            steps = np.arange(len(mean))
            axes.fill_between(steps, mean - half, mean + half, step="mid", alpha=0.25, color=_COLOURS[1], linewidth=0)
    return _finished(figure, panels, study, phases)


def _panels(phases: str) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(10, 0.8 + 2.6 * len(phases)), dpi=130, layout="constrained")
    return figure, list(figure.subplots(len(phases), 1, sharex=True, squeeze=False)[:, 0])


def _curve(axes: Axes, values: np.ndarray, colour: str, label: str, style: str = "-", width: float = 1.5) -> None:
    steps = np.arange(len(values))
    axes.step(steps, values, where="mid", color=colour, linestyle=style, label=label, linewidth=width)


def _finished(figure: Figure, panels: list[Axes], study: StudyResult, phases: str) -> Figure:
    for axes, phase in zip(panels, phases, strict=True):
        axes.set_ylabel(f"phase {phase} [kW]")
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4, fontsize=8, frameon=False)
    step = max(1, len(study.periods) // 12)
    panels[-1].set_xticks(np.arange(len(study.periods))[::step], study.periods[::step])
    panels[-1].set_xlabel("period")
    return figure
