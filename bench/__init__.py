"""Measurements of this product beside the ceiling of the machine they run on: ``python -m bench``."""
