"""The Lambda function that replaces the signing secret."""
