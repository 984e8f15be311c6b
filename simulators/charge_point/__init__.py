"""The charging connectors."""
