"""Small scans with known truth that come with volest; README.md tells how they were made."""
