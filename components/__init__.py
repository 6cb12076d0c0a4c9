"""The parts of a site as Pulumi components. They place resources and decide nothing: `blueprint` does."""
