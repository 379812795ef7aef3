"""The Lambda function that decodes and stores readings as they arrive."""
