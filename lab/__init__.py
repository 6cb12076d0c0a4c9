"""The embedded lab: the whole site on one Linux machine, in containers."""
