"""By hand: namespaces, veth pairs and containers that a person wires, past the engine."""
