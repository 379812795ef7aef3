-- {metric} of a device by the hour over the last seven days; give its id.
SELECT
  date_trunc('hour', measured_at) AS hour,
  count("{metric}") AS readings,
  min("{metric}") AS lowest,
  avg("{metric}") AS mean,
  approx_percentile("{metric}", 0.95) AS p95,
  max("{metric}") AS highest
FROM readings
WHERE device_id = ?
  AND measured_at >= date_trunc('hour', current_timestamp) - INTERVAL '7' DAY
GROUP BY date_trunc('hour', measured_at)
ORDER BY hour
