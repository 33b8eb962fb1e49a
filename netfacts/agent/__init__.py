"""The agent: a small process that becomes PID 1 of a machine and does there what the harness asks.

It imports nothing of netfacts outside this package and, beside the standard library, only dnspython (for the lab's
DNS server), so that it can travel to another machine as a zipapp. It knows nothing of Docker, facts or verdicts.

    harness ──JSON lines──► init (PID 1) ──► worker in the machine's own namespaces
                                         ├─► worker in the network namespace of container a
                                         └─► processes it was asked to start (an engine)

When the harness goes away, however it goes, its end of the pipe closes; init reads the end of file and exits, and the
kernel ends everything else in the machine with it.
"""
