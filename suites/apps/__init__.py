"""Applications: of several containers, and used from other machines."""
