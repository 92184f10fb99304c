-- name: database_ping
select true as alive;
