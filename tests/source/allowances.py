"""What the checks of our source find and we keep, each with its reason. One that is not found fails."""

BANDIT_ANYWHERE = {
    "B404": "commands are run with subprocess; how is what matters, and B602 to B607 look at that",
    "B603": "commands are lists of our own making, never a shell string",
    "B607": "`aws` and `git` are found on the PATH of the environment that runs us",
}
"""By test."""

SPREADS_LOAD = "spreads load or makes up readings; guards nothing"

BANDIT = {
    ("bench/compaction_inputs.py", "B311"): SPREADS_LOAD,
    ("bench/hot_path.py", "B311"): SPREADS_LOAD,
    ("bench/scale_costs.py", "B311"): SPREADS_LOAD,
    ("lambdas/backoff.py", "B311"): SPREADS_LOAD,
    ("local/additions/cloudformation/network.py", "B406"): "reads answers of the embedded AWS, which runs beside it",
    ("local/additions/loopback.py", "B104"): "names the addresses that it refuses to bind",
    ("local/additions/restore_status.py", "B405"): "reads answers of the embedded AWS, which runs beside it",
    ("local/fleet/devices.py", "B310"): "the endpoint is the embedded AWS's, from our own state file",
    ("local/fleet/generate.py", "B311"): SPREADS_LOAD,
    ("local/process.py", "B310"): "the endpoint is the embedded AWS's, from our own state file",
    ("local/state.py", "B105"): "public: the embedded AWS listens on loopback alone",
}
"""By file and test."""

A_NAME = "names a resource; the word `secret` stands beside it"

SECRETS = {
    ("config/iot-processing.toml", "Secret Keyword", "64479c1f"): A_NAME,
    ("config/iot-processing.toml", "Secret Keyword", "a19e2880"): A_NAME,
    ("docs/webhook.md", "Secret Keyword", "423e6fcf"): "shows the form with the values left out",
    ("local/state.py", "Secret Keyword", "a94a8fe5"): "public: the embedded AWS listens on loopback alone",
    ("templates/monitoring.py", "Secret Keyword", "96e17a1b"): A_NAME,
    ("tests/*", "Secret Keyword", "*"): "made up, short, and beside a word that the tests of secrets cannot do without;"
    " what looks random or has the form of a known secret is found in tests, too",
    ("tests/config/test_settings.py", "Basic Auth Credentials", "5baa61e4"): "an address that settings refuse",
}
"""By file, kind of finding and start of the secret's SHA-1 (`*` stands for anything): another secret is a finding."""
