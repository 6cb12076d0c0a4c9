"""Drills: break one thing on purpose while clients use the service, and know what they saw, in seconds."""
