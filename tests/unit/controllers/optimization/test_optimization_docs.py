"""What docs/optimization.md prints is what it says."""

import re
from pathlib import Path

import pytest


def test_examples_of_the_page(capsys):
    page = (Path(__file__).parents[4] / "docs" / "optimization.md").read_text(encoding="utf-8")
    names: dict = {}
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(block, names)
    printed = capsys.readouterr().out.splitlines()
    said = re.findall(r"print\(.*?\)  # ([^:\n]*)", page)
    assert len(said) == 3 and [" ".join(line.split()) for line in printed] == [" ".join(line.split()) for line in said]
    assert names["results"].solver.termination_condition == "optimal"
    assert names["model"].charge[1].value == pytest.approx(11)
