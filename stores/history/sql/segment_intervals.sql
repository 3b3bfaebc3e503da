-- The intervals of membership, [entered_at, exited_at), from the history's rows: one row per stay of a profile in a
-- segment. exited_at is null while the stay is open. BigQuery Standard SQL; the placeholder names the table.
--
-- Rows of the history repeat: a retried write tells the same rows again, and a second run over the same log tells the
-- whole story again, under other versions of the profile. So a stay is first put together within its own telling, and
-- only then are repeated stays dropped. The other way round, a row of one telling could end a stay of another.
--
-- * Within a telling a profile enters and exits a segment in turns, and its versions grow. Versions of a later telling
--   are all greater. So, in the order of versions, an entry is ended by the next row, if that is an exit and not an
--   earlier instant; an entry that is followed by another entry was the last row of its telling.
-- * That holds whatever the rows' segment_version is: a rule that was edited in a running job may end under its new
--   meaning a stay that began under the old one. segment_version is the one of the entry.
-- * A second run under an edited rule tells other stays, with another segment_version; both tellings are here. Select
--   by segment_version what one of them means.
-- * Of stays of one profile, segment and segment_version that begin at the same instant one is kept: one that has
--   ended rather than an open one (a later run may know the end), then the one told first.
-- * A stay of length zero is none, and one that begins where the one before it in its telling ended continues it.
--
-- expires_at is what the entry's row said: later events may have moved it. Who is a member now is served from Redis:
-- where a rule was edited, the history cannot tell a stay that went on from one that an earlier run left open.
--
-- Every window is partitioned by profile_id and segment, so that a filter on them reaches the table and its clustering.

WITH

told AS (
  SELECT *
  FROM `${table}`
  WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY profile_id, segment, change_id, profile_version ORDER BY processed_at
  ) = 1
),

followed AS (
  SELECT
    *,
    LEAD(
      STRUCT(
        change AS change,
        event_time AS exited_at,
        segment_version AS segment_version,
        cause AS cause,
        message_id AS message_id,
        correction AS correction,
        change_id AS change_id
      )
    ) OVER (PARTITION BY profile_id, segment ORDER BY profile_version, event_time, change_id) AS next
  FROM told
),

-- `ended` tells an exit from the row after an open stay; every field of the exit is null while the stay is open.
entered AS (
  SELECT
    *,
    COALESCE(next.change = 'exited' AND next.exited_at >= event_time, FALSE) AS ended
  FROM followed
  WHERE change = 'entered'
),

stays AS (
  SELECT
    profile_id,
    segment,
    segment_version,
    profile_version,
    event_time AS entered_at,
    IF(ended, next.exited_at, NULL) AS exited_at,
    expires_at,
    cause AS entered_by,
    IF(ended, next.cause, NULL) AS exited_by,
    message_id AS entered_message_id,
    IF(ended, next.message_id, NULL) AS exited_message_id,
    correction AS entered_correction,
    IF(ended, next.correction, NULL) AS exited_correction,
    change_id AS entered_change_id,
    IF(ended, next.change_id, NULL) AS exited_change_id,
    IF(ended, next.segment_version, NULL) AS exited_segment_version
  FROM entered
  WHERE NOT (ended AND next.exited_at = event_time)
),

linked AS (
  SELECT
    *,
    COALESCE(
      LAG(exited_at) OVER story = entered_at AND LAG(exited_segment_version) OVER story = segment_version,
      FALSE
    ) AS continues
  FROM stays
  WINDOW story AS (PARTITION BY profile_id, segment ORDER BY profile_version, entered_at, entered_change_id)
),

numbered AS (
  SELECT
    *,
    COUNTIF(NOT continues) OVER (
      PARTITION BY profile_id, segment
      ORDER BY profile_version, entered_at, entered_change_id
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS stay
  FROM linked
),

-- A stay's first row with its last row's end.
merged AS (
  SELECT
    * EXCEPT (
      exited_at, exited_by, exited_message_id, exited_correction, exited_change_id, exited_segment_version
    ),
    LAST_VALUE(exited_at) OVER whole AS exited_at,
    LAST_VALUE(exited_by) OVER whole AS exited_by,
    LAST_VALUE(exited_message_id) OVER whole AS exited_message_id,
    LAST_VALUE(exited_correction) OVER whole AS exited_correction,
    LAST_VALUE(exited_change_id) OVER whole AS exited_change_id,
    LAST_VALUE(exited_segment_version) OVER whole AS exited_segment_version
  FROM numbered
  WINDOW whole AS (
    PARTITION BY profile_id, segment, stay
    ORDER BY profile_version, entered_at, entered_change_id
    ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
  )
)

SELECT
  profile_id,
  segment,
  segment_version,
  entered_at,
  exited_at,
  expires_at,
  entered_by,
  exited_by,
  entered_message_id,
  exited_message_id,
  entered_correction,
  exited_correction,
  entered_change_id,
  exited_change_id,
  exited_segment_version
FROM merged
WHERE NOT continues
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY profile_id, segment, segment_version, entered_at
  ORDER BY exited_at IS NULL, profile_version
) = 1
