-- Fails, and names them, when ${what} that came regularly have nearly stopped: in the hour before this run fewer than
-- ${ratio} of what came in the same hour yesterday and also a week ago, and at least ${at_least} came then.
-- Both, so that a day's campaign is no usual day. BigQuery Standard SQL; a scheduled query sets @run_time.
--
-- An exact filter on the column that the table is partitioned on, so that three short stretches are read.

WITH

seen AS (
  SELECT
    ${name} AS name,
    DIV(TIMESTAMP_DIFF(@run_time, ${time}, SECOND), 3600) AS hours_ago
  FROM `${table}`
  WHERE (${time} > TIMESTAMP_SUB(@run_time, INTERVAL 1 HOUR) AND ${time} <= @run_time)
    OR (
      ${time} > TIMESTAMP_SUB(@run_time, INTERVAL 25 HOUR)
      AND ${time} <= TIMESTAMP_SUB(@run_time, INTERVAL 24 HOUR)
    )
    OR (
      ${time} > TIMESTAMP_SUB(@run_time, INTERVAL 169 HOUR)
      AND ${time} <= TIMESTAMP_SUB(@run_time, INTERVAL 168 HOUR)
    )
),

counted AS (
  SELECT
    name,
    COUNTIF(hours_ago = 0) AS now,
    LEAST(COUNTIF(hours_ago = 24), COUNTIF(hours_ago = 168)) AS usual
  FROM seen
  WHERE name IS NOT NULL
  GROUP BY name
),

collapsed AS (
  SELECT name, now, usual
  FROM counted
  WHERE usual >= ${at_least} AND now < usual * ${ratio}
)

SELECT
  IF(
    COUNT(*) = 0,
    'as usual',
    ERROR(
      CONCAT(
        'collapsed: ',
        STRING_AGG(
          CONCAT(name, ' (', CAST(now AS STRING), ' an hour, usually ', CAST(usual AS STRING), ')'), ', ' ORDER BY name
        )
      )
    )
  ) AS result
FROM collapsed
