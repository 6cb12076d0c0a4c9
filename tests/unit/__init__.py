"""Tests that need no lab."""
