"""Telemetry in InfluxDB: a spool on disk, what empties it, and what is read back."""
