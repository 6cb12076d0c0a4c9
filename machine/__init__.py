"""The machine that Perenne runs on: its processes, packages, locks and files. It imports nothing of Perenne's."""
