"""The Lambda function that posts alerts to the webhook's receiver."""
