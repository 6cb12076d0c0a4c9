"""How rules are written, configured and applied; what they look for is in `policies.rules`."""
