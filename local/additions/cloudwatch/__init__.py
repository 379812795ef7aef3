"""CloudWatch: alarms, and metrics from the logs of functions."""
