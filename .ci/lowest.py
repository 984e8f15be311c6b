"""Print the lowest versions that setup.cfg allows, as constraints for pip: `python .ci/lowest.py > lowest.txt`."""

import configparser
import re
import sys
from pathlib import Path

SETUP = Path(__file__).resolve().parents[1] / "setup.cfg"


def lowest(setup: Path = SETUP) -> list[str]:
    """Return `name==version` for each requirement of the package and of its extras, but not of the developers' one."""
    config = configparser.ConfigParser()
    config.read(setup)
    extras = config["options.extras_require"]
    blocks = [config["options"]["install_requires"], *(extras[name] for name in extras if name != "dev")]
    pins = []
    for line in "\n".join(block.strip() for block in blocks).splitlines():
        match = re.fullmatch(r"([\w.-]+)(\[\w+\])?\s*>=\s*([\w.]+)", line)
        if match is None:
            raise ValueError(f"{setup}: a requirement must be `name >= version`, got {line!r}")
        pins.append(f"{match[1]}=={match[3]}")
    return pins


if __name__ == "__main__":
    sys.stdout.write("\n".join(lowest()) + "\n")
