-- Devices whose readings of the last thirty days arrived {late_after_h} hours after they were measured, or later.
SELECT
  device_id,
  count(*) AS late_readings,
  max(date_diff('hour', measured_at, received_at)) AS most_hours_late,
  max(received_at) AS last_arrival
FROM readings
WHERE measured_at >= current_timestamp - INTERVAL '30' DAY
  AND received_at >= measured_at + INTERVAL '{late_after_h}' HOUR
GROUP BY device_id
ORDER BY late_readings DESC
