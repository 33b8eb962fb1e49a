"""Probes: questions put to addresses and names, from any vantage, many at once."""

from netfacts.lab.program import run_program
from netfacts.probe.ask import Answer, Probe, ask, http, icmp, tcp, udp
from netfacts.probe.flow import Account, Flow, start_flow, stop_flows
from netfacts.probe.held import Held, hold
from netfacts.probe.listener import Listener, listen, serve_names
from netfacts.probe.measure import Measured, Path, measure, serve_loads
from netfacts.probe.name import DnsAnswer, Resolution, query, resolve

__all__ = [
    "Account",
    "Answer",
    "DnsAnswer",
    "Flow",
    "Held",
    "Listener",
    "Measured",
    "Path",
    "Probe",
    "Resolution",
    "ask",
    "hold",
    "http",
    "icmp",
    "listen",
    "measure",
    "query",
    "resolve",
    "run_program",
    "serve_loads",
    "serve_names",
    "start_flow",
    "stop_flows",
    "tcp",
    "udp",
]
