"""The shared core of the optimising controllers: models in Pyomo, solved by GLPK in process."""
