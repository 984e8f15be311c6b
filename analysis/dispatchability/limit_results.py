"""The HDF5 file of a study: its layout, `StudyWriter` and `open_study`.

===============================  =======================================================================================
object                           content
===============================  =======================================================================================
``/`` attributes                 ``layout``, ``kind`` (dispatchability), ``name``, ``study`` (YAML text), ``versions``
                                 (JSON), ``phases``; names as JSON: ``periods``, ``pvs``, ``cases``
``/cases/<case>/``               ``lower_kw``, ``upper_kw``, ``available_kw`` (n_pv, 3, t), ``demand_kw`` (3, t) in kW;
                                 ``voltage`` (t,): periods in which voltages were modelled; attributes ``objective``,
                                 ``gap``, ``unbalanced``, ``rounds``
``/cases/<case>/log``            table of the method's rounds: part, lower, upper, worst
``/campaign/``                   attribute ``case``; ``lower_kw``, ``upper_kw`` (n, n_pv, 3, t), ``unbalanced``, ``gap``
                                 (n,), ``served`` (n,); ``mean_kw``, ``half_width_kw`` (2, 3, t): expected lower and
                                 upper totals and their 95 % confidence; attribute ``clips`` (JSON)
``/diagnostics/seconds``         attributes: wall time of each case and of the campaign [s]; may differ between two runs
===============================  =======================================================================================
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..results.result_layout import ResultError
from .case import FeederCase
from .limit_campaign import Campaign
from .limits import PvLimits

LAYOUT = 1
KIND = "dispatchability"
_ARRAYS = ("lower_kw", "upper_kw", "available_kw", "demand_kw", "voltage", "log")


class StudyWriter:
    """Writes a study to a temporary file that replaces the result file at the end; an error leaves no file behind.

    Parameters
    ----------
    path : Path
        Result file.
    name : str
        Name of the study.
    text : str
        The study as YAML.
    periods, pvs : list of str
        Names of periods and PV units.
    versions : mapping of str to str
        Versions of the software.
    """

    def __init__(
        self, path: Path, name: str, text: str, periods: list[str], pvs: list[str], versions: Mapping[str, str]
    ):
        self._cases: list[str] = []
        self._path, self._part = path, path.with_name(f".{path.name}.part")
        self._file: Any = h5py.File(self._part, "w")
        attributes = {"layout": LAYOUT, "kind": KIND, "name": name, "study": text, "phases": "abc"}
        attributes |= {"versions": json.dumps(dict(versions)), "periods": json.dumps(periods), "pvs": json.dumps(pvs)}
        self._file.attrs.update(attributes)
        self._seconds = self._file.create_group("diagnostics/seconds")

    def __enter__(self) -> StudyWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._file.close()
        if kind is None:
            os.replace(self._part, self._path)
        else:
            self._part.unlink(missing_ok=True)

    def case(self, name: str, case: FeederCase, limits: PvLimits) -> None:
        """Write the limits of a case."""
        group = self._file.create_group(f"cases/{name}")
        group["lower_kw"], group["upper_kw"] = limits.lower_kw, limits.upper_kw
        group["available_kw"] = case.available_kw
        nothing = np.zeros((case.periods, 3))
        group["demand_kw"] = sum(case.demand_kw.values(), nothing).T
        group["voltage"] = limits.voltage
        numbers = {key: getattr(limits, key) for key in ("objective", "gap", "unbalanced", "rounds")}
        group.attrs.update(numbers)
        rows = [(part, iteration.lower, iteration.upper, iteration.worst) for part, iteration in limits.log]
        kinds = [("part", "i4"), ("lower", "f8"), ("upper", "f8"), ("worst", "f8")]
        group["log"] = np.array(rows, dtype=kinds)
        self._seconds.attrs[name] = limits.seconds
        self._cases.append(name)
        self._file.attrs["cases"] = json.dumps(self._cases)

    def campaign(self, case: str, campaign: Campaign) -> None:
        """Write a campaign around a case."""
        group = self._file.create_group("campaign")
        group.attrs["case"], group.attrs["clips"] = case, json.dumps(dict(campaign.clips))
        group["lower_kw"], group["upper_kw"] = campaign.lower_kw, campaign.upper_kw
        group["unbalanced"], group["gap"], group["served"] = campaign.unbalanced, campaign.gaps, campaign.served
        group["mean_kw"], group["half_width_kw"] = campaign.expected_kw()
        self._seconds.attrs["campaign"] = campaign.wall_s


@dataclass(frozen=True)
class CaseResult:
    """Limits of a case as they stand in the file.

    Parameters
    ----------
    lower_kw, upper_kw, available_kw : ndarray, shape (n_pv, 3, t)
        Limits, and what radiation and rating allow [kW].
    demand_kw : ndarray, shape (3, t)
        Demand of all buses [kW].
    voltage : ndarray of bool, shape (t,)
        Periods in which voltage limits had to be modelled.
    log : ndarray
        Rounds of the method: part, lower, upper, worst.
    numbers : dict of str to float
        ``objective``, ``gap``, ``unbalanced``, ``rounds``.
    """

    lower_kw: np.ndarray
    upper_kw: np.ndarray
    available_kw: np.ndarray
    demand_kw: np.ndarray
    voltage: np.ndarray
    log: np.ndarray
    numbers: dict[str, float]

    @property
    def totals_kw(self) -> np.ndarray:
        """Lower and upper limits of all units together, shape (2, 3, t) [kW]."""
        return np.stack([self.lower_kw.sum(axis=0), self.upper_kw.sum(axis=0)])


@dataclass(frozen=True)
class ExpectedLimits:
    """A campaign as it stands in the file.

    Parameters
    ----------
    case : str
        The case around which was drawn.
    mean_kw, half_width_kw : ndarray, shape (2, 3, t)
        Expected lower and upper totals, and half the width of their 95 % confidence intervals [kW].
    served : ndarray of bool, shape (n,)
        Drawn cases in which all power is balanced.
    gap : ndarray, shape (n,)
        Distance of the bounds of the objective of each of them.
    clips : dict of str to int
        Number of drawn values that were clipped to possible ones, by kind.
    """

    case: str
    mean_kw: np.ndarray
    half_width_kw: np.ndarray
    served: np.ndarray
    gap: np.ndarray
    clips: dict[str, int]


@dataclass(frozen=True)
class StudyResult:
    """A study as it stands in the file.

    Parameters
    ----------
    name : str
        Its name.
    text : str
        The study as YAML.
    periods, pvs : list of str
        Names of periods and PV units.
    cases : dict of str to CaseResult
        In the order of the study.
    expected : ExpectedLimits or None
        The campaign, if there was one.
    seconds : dict of str to float
        Wall times [s].
    """

    name: str
    text: str
    periods: list[str]
    pvs: list[str]
    cases: dict[str, CaseResult]
    expected: ExpectedLimits | None
    seconds: dict[str, float]


def open_study(path: str | os.PathLike) -> StudyResult:
    """Read the result of a study.

    Raises
    ------
    ResultError
        If there is no such file, or it is not a result of this kind.
    """
    if not Path(path).is_file():
        raise ResultError(f"{path}: no such file")
    try:
        with h5py.File(path, "r") as opened:
            file: Any = opened
            if file.attrs.get("kind") != KIND:
                raise ResultError(f"{path}: is HDF5, but not a study of dispatchability")
            if file.attrs["layout"] > LAYOUT:
                raise ResultError(f"{path}: layout {file.attrs['layout']} is newer than {LAYOUT}, which can be read")
            seconds = {name: float(value) for name, value in file["diagnostics/seconds"].attrs.items()}
            names = json.loads(file.attrs["cases"])
            cases = {
                name: CaseResult(
                    **{key: file["cases"][name][key][:] for key in _ARRAYS},
                    numbers={key: float(value) for key, value in file["cases"][name].attrs.items()},
                )
                for name in names
            }
            expected = None
            if "campaign" in file:
                group = file["campaign"]
                arrays = {key: group[key][:] for key in ("mean_kw", "half_width_kw", "served", "gap")}
                expected = ExpectedLimits(group.attrs["case"], **arrays, clips=json.loads(group.attrs["clips"]))
            attributes = file.attrs
            return StudyResult(
                attributes["name"],
                attributes["study"],
                json.loads(attributes["periods"]),
                json.loads(attributes["pvs"]),
                cases,
                expected,
                seconds,
            )
    except (OSError, KeyError) as error:
        raise ResultError(f"{path}: is damaged or not an HDF5 file ({error})") from error
