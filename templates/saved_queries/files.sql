-- Files, rows and sizes by the folder of the partition that the files are in.
SELECT
  regexp_extract(file_path, '/data/(.+)/[^/]+$', 1) AS folder,
  count(*) AS files,
  sum(record_count) AS row_count,
  sum(file_size_in_bytes) / 1000000 AS megabytes,
  min(file_size_in_bytes) / 1000000 AS smallest_megabytes
FROM "readings$files"
GROUP BY regexp_extract(file_path, '/data/(.+)/[^/]+$', 1)
ORDER BY folder DESC
