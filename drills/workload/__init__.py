"""The workload: what clients do while something breaks, and what they and the observers saw."""
