"""Backups of the embedded stores: copies of one moment, and the manifest that proves them."""
