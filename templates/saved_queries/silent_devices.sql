-- Devices that sent something in the last seven days, and nothing in the last three hours of the table.
SELECT
  device_id,
  max(measured_at) AS last_reading,
  date_diff('minute', max(measured_at), current_timestamp) AS silent_minutes
FROM readings
WHERE measured_at >= current_timestamp - INTERVAL '7' DAY
GROUP BY device_id
HAVING max(measured_at) < (SELECT max(measured_at) FROM readings
                           WHERE measured_at >= current_timestamp - INTERVAL '7' DAY) - INTERVAL '3' HOUR
ORDER BY last_reading
