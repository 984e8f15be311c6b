"""PV limits of feeders, from study file to result."""
