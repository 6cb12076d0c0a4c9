"""Tests of machine/."""
