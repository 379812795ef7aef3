-- Snapshots of the table, newest first: which run made each, and what it added.
SELECT
  committed_at,
  snapshot_id,
  operation,
  element_at(summary, 'sensorkeep.run-id') AS run_id,
  element_at(summary, 'added-data-files') AS added_files,
  element_at(summary, 'added-records') AS added_rows,
  element_at(summary, 'sensorkeep.quarantined') AS quarantined
FROM "readings$snapshots"
ORDER BY committed_at DESC
