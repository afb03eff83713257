"""Scans in, in every format of the field, and out as PCD."""

from volest.io.pcd import write_pcd
from volest.io.points import SUPPORTED_SUFFIXES, read_frames, read_points
from volest.io.selection import select

__all__ = ["SUPPORTED_SUFFIXES", "read_frames", "read_points", "select", "write_pcd"]
