"""macvlan networks: containers that stand on the segment of their host."""
