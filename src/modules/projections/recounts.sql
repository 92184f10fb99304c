-- name: recount_allow_time
select set_config('statement_timeout', '1h', true);
