"""Many loads: planned from a manifest, estimated by workers that may die, kept as a dataset that can be verified."""
