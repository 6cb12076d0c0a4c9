"""Tests of the fencing agent."""
