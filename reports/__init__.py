"""Connectivity reports: the bins and speed tests of a time, added up and signed."""
