"""Many runs: comparisons, sweeps, published studies."""
