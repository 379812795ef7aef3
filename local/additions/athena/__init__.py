"""Athena: Iceberg tables, parameters of a query, and workgroups that hold their clients to their configuration."""
