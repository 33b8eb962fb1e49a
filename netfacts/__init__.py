"""netfacts puts the documented facts of Docker networking to a real engine and says, with evidence, which hold."""

__version__ = "0.1.0"
