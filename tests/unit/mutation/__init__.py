"""Tests of the proof that the policy pack works."""
