-- Readings of the last seven days by the day, now and as the table was a day ago: what has come since, and how late.
WITH earlier AS (
  SELECT date_trunc('day', measured_at) AS day, count(*) AS row_count
  FROM readings FOR TIMESTAMP AS OF (current_timestamp - INTERVAL '1' DAY)
  WHERE measured_at >= date_trunc('day', current_timestamp) - INTERVAL '7' DAY
  GROUP BY date_trunc('day', measured_at)
),
present AS (
  SELECT date_trunc('day', measured_at) AS day, count(*) AS row_count
  FROM readings
  WHERE measured_at >= date_trunc('day', current_timestamp) - INTERVAL '7' DAY
  GROUP BY date_trunc('day', measured_at)
)
SELECT present.day, earlier.row_count AS a_day_ago, present.row_count AS now
FROM present LEFT JOIN earlier ON earlier.day = present.day
ORDER BY present.day
