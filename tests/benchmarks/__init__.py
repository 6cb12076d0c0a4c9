"""What things cost; run by hand, the figures go into docs/measurements.md."""
