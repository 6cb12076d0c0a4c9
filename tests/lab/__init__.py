"""Tests on the running lab."""
