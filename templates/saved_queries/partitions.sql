-- Partitions of the table with their rows, files and bytes.
SELECT
  partition,
  record_count,
  file_count,
  total_size
FROM "readings$partitions"
ORDER BY total_size DESC
LIMIT 1000
