"""Proof that the policy pack works: every change that brings in a single point of failure, and who refuses it."""
