"""The commands behind ./perenne."""
