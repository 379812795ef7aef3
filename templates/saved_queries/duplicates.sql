-- Readings of the last two days that are in the table more than once, before the daily upkeep has removed them.
SELECT
  device_id,
  measured_at,
  count(*) AS times,
  max(received_at) AS last_received
FROM readings
WHERE measured_at >= current_timestamp - INTERVAL '2' DAY
GROUP BY device_id, measured_at
HAVING count(*) > 1
ORDER BY device_id, measured_at
LIMIT 1000
