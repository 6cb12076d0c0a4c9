"""What all layers stand on: processes, packages, locks, files, certificates, failures; it imports none of them."""
