"""What carries messages on: topic rules, streams, Firehose, notifications."""
