"""The design of a site as data: pure functions of a stack's settings, without Pulumi and without a network."""
