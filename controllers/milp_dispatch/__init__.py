"""Day-ahead dispatch by mixed-integer linear programming (Lavrenova & Denysiuk 2023)."""
