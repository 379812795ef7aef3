-- The hundred last readings of a device within the last day; give its id.
SELECT *
FROM readings
WHERE device_id = ?
  AND measured_at >= current_timestamp - INTERVAL '1' DAY
ORDER BY measured_at DESC
LIMIT 100
