"""Names the plugins; what they do stands in fixtures/."""

pytest_plugins = [
    "fixtures.options",
    "fixtures.interrupt",
    "fixtures.facts",
    "fixtures.shard",
    "fixtures.labs",
    "fixtures.fabric",
    "fixtures.claim",
    "fixtures.takeover",
    "fixtures.evidence",
    "fixtures.finding",
    "fixtures.recorder",
    "fixtures.portrait",
    "fixtures.progress",
    "fixtures.keeping",
    "fixtures.applications",
]
