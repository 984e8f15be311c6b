"""The same sessions under the same limits, here and in other open simulators of charging; `make bench-peers`."""
