"""Lambda: the event source mapping of a Kinesis stream, failures, and processes that stay warm."""
