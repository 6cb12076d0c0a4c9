"""The common half of the resource providers that are written in Python: values, resources and the plugin protocol."""
