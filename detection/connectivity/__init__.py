"""Connectivity of sites: sessions and measurements together become outages and bins."""

from detection.connectivity.connectivity import Connectivity

__all__ = ["Connectivity"]
