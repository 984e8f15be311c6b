"""How many random cases a test tries, in the Hypothesis profile in force: `--hypothesis-profile=quick|ci|campaign`."""

from hypothesis import settings

CI_EXAMPLES = 100
PROFILES = {"quick": 10, "ci": CI_EXAMPLES, "campaign": 10 * CI_EXAMPLES}


def examples(n: int) -> int:
    """Return the number of cases for a test that tries n of them in the profile `ci`.

    A smaller profile is an upper limit (`quick`: at most 10), a larger one a factor (`campaign`: ten times n).
    """
    most = settings().max_examples
    return min(n, most) if most < CI_EXAMPLES else n * most // CI_EXAMPLES
