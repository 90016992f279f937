"""Anji county, ten measures for the green home industry, 2023 to 2025."""
