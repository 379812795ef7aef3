"""Archive hours to Parquet in the Iceberg table: what planning, writing and committing share."""
