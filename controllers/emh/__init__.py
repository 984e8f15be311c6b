"""The rule-based e-mobility hub controller."""
