"""Telemetry: what is asked of it, and the rows that answer."""
