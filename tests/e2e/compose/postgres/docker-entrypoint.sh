#!/bin/sh
# Start PostgreSQL as the official image does: as the user who starts it, unless that is root, and after the scripts of
# /docker-entrypoint-initdb.d if the database is new.
set -eu
if [ "$(id -u)" != 0 ]; then
    shift
    exec postgres -c listen_addresses='*' "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    as-root postgres -C data_directory # makes the database, and ends
    for script in /docker-entrypoint-initdb.d/*; do
        setpriv --reuid=postgres --regid=postgres --clear-groups "$script"
    done
fi
exec as-root "$@"
