"""Operators' moves: servers and hosts are taken out of use and back, one at a time, while users notice nothing."""
