"""Pulumi where its own downloads can't be reached: engine, plugins and Python language host from package registries."""
