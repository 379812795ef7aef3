"""The Lambda function `merge_readings`."""
