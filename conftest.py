"""Names the plugins; what they do stands in fixtures/."""

pytest_plugins = [
    "fixtures.options",
    "fixtures.facts",
    "fixtures.labs",
    "fixtures.claim",
    "fixtures.finding",
    "fixtures.recorder",
    "fixtures.portrait",
    "fixtures.progress",
]
