"""Secrets Manager: versions of secrets, and their rotation."""
