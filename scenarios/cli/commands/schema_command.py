"""``evhub schema``."""

from __future__ import annotations

import json


def schema() -> None:
    """Print the JSON Schema of scenario files, for editors that complete and check them."""
    from ...schema.scenario_schema import Scenario

    print(json.dumps(Scenario.model_json_schema(), indent=1))
