"""One stack, and what can be read of it and of its site. It imports only `blueprint`, `lab` and `machine`."""
