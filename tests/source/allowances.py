"""What the checks of our source find and we keep, each with its reason. One that is not found fails."""

BANDIT_ANYWHERE = {
    "B404": "commands are run with subprocess; how is what matters, and B602 to B607 look at that",
    "B603": "commands are lists of our own making, never a shell string",
    "B607": "`aws` and `git` are found on the PATH of the environment that runs us",
}
"""By test."""

SPREADS_LOAD = "spreads load or makes up readings; guards nothing"

BANDIT = {
    ("bench/hot_path.py", "B311"): SPREADS_LOAD,
    ("lambdas/process_readings/writing.py", "B311"): SPREADS_LOAD,
    ("local/additions/loopback.py", "B104"): "names the addresses that it refuses to bind",
    ("local/fleet/devices.py", "B310"): "the endpoint is the embedded AWS's, from our own state file",
    ("local/fleet/generate.py", "B311"): SPREADS_LOAD,
    ("local/process.py", "B310"): "the endpoint is the embedded AWS's, from our own state file",
    ("local/state.py", "B105"): "public: the embedded AWS listens on loopback alone",
}
"""By file and test."""

FOR_TESTS = "made up; nothing but the tests' own servers knows it"

SECRETS = {
    ("local/state.py", "a94a8fe5"): "public: the embedded AWS listens on loopback alone",
    ("tests/lambdas/process_readings/conftest.py", "fe1bae27"): FOR_TESTS,
    ("tests/local/test_commands.py", "a94a8fe5"): FOR_TESTS,
    ("tests/templates/checks/resolving.py", "b8e2c892"): "the form of a secret's ARN",
}
"""By file and the start of the secret's SHA-1: another secret in the same file is a finding."""
