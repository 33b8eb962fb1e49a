"""Labs made real: machines as process trees, segments as bridges, and the owners' stamps that make sweeping safe."""

from netfacts.lab.lab import Lab
from netfacts.lab.machine import Machine
from netfacts.lab.vantage import Vantage, of_machine, of_process

__all__ = ["Lab", "Machine", "Vantage", "of_machine", "of_process"]
