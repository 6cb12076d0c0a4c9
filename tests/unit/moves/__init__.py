"""Operators' moves on a pretended site."""
