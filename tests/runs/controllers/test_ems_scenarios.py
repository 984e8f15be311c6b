"""The published use cases: what `evhub reproduce hafiz2023` shows, case by case."""

from __future__ import annotations

import pytest

from evhub.analysis import open_results
from evhub.scenarios.studies.reproductions import NAMES, reproduction
from evhub.scenarios.studies.reproductions.hafiz2023 import hafiz2023_figures
from evhub.scenarios.studies.reproductions.hafiz2023 import hafiz2023_study as hafiz2023

BY_NAME = {case.name: case for case in hafiz2023.CASES}
SLOW = pytest.mark.campaign


def test_the_study_is_listed_and_has_a_title():
    assert "hafiz2023" in NAMES
    assert "Hafiz" in reproduction("hafiz2023").TITLE


@pytest.mark.parametrize(
    "name",
    ["pv-overvoltage", *(pytest.param(name, marks=SLOW) for name in BY_NAME if name != "pv-overvoltage")],
)
def test_every_judged_row_is_met(name, tmp_path):
    case = BY_NAME[name]
    paths = [hafiz2023.run(case, tmp_path, kind) for kind in ("whole", f"without {case.without}")]
    with open_results(paths[0]) as whole, open_results(paths[1]) as part:
        rows = list(
            hafiz2023.judge(case, hafiz2023.outcome(whole), hafiz2023.outcome(part), hafiz2023.load_flows(whole))
        )
        hafiz2023_figures.draw(tmp_path / "case.png", whole, part, case.band_pu, "without")
    assert [row for row in rows if row.ok is False] == []
    assert len([row for row in rows if row.ok]) >= 7
    assert (tmp_path / "case.png").stat().st_size > 10_000
