"""What a command cannot do, told to a person."""


class OpsError(Exception):
    """A command that cannot go on; the message says what, where and what to do."""
