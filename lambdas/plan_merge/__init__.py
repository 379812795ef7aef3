"""The Lambda function `plan_merge`."""
