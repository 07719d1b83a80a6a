#!/usr/bin/env bash
# A worker in Bash, with psql and curl: claims a task, asks a provider for a text, and stores it.
#
#   DATABASE_URL=postgresql://... PROVIDER_URL=https://api.example.com/draft examples/worker.sh [CATEGORY...]
#
# Gates and caps need no code: the worker claims, reports what the provider answered, and sleeps as long as the database
# says. Start as many as you like, beside workers in other languages.
set -euo pipefail

gate=$(cut -d/ -f3 <<<"$PROVIDER_URL") # the host: what workers of the same provider share
scratch=$(mktemp -d)

# Runs the SQL on its input. Each argument is NAME=VALUE, which the SQL may use as :'NAME'.
sql() { psql "$DATABASE_URL" -XqAt -F $'\x1f' -v ON_ERROR_STOP=1 "${@/#/--set=}"; }

worker=$(sql host="$(uname -n)" pid=$$ gate="$gate" categories="$(IFS=, && echo "$*")" <<'SQL'
    SELECT contentq.register_worker(:'host', :'pid', 1, 'worker.sh', gate => :'gate',
                                    categories => string_to_array(nullif(:'categories', ''), ','));
SQL
)
echo "registered worker=$worker" >&2

# A second loop keeps it alive: without a heartbeat for 10 seconds, its task goes to another worker. It also does its
# part of the housekeeping, and ends the worker when that is not registered any more.
(while sleep 2; do
    sql worker="$worker" <<<"SELECT contentq.heartbeat(:'worker'); SELECT contentq.maintain();" >/dev/null || kill $$
done) &
heartbeats=$!

leave() {
    kill "$heartbeats" || true
    sql worker="$worker" <<<"SELECT contentq.deregister_worker(:'worker');" >/dev/null
    rm -r "$scratch"
}
trap leave EXIT
stopping=
trap 'stopping=yes' TERM INT # after the task that is running

# One statement: the task, if there is one, and how long to sleep if there is none; without LISTEN, 2 seconds at most.
claim() {
    sql worker="$worker" <<'SQL'
        SELECT id, attempt, replace(topic, E'\n', ' '), NULL FROM contentq.claim(:'worker', 1)
        UNION ALL
        SELECT NULL, NULL, NULL,
               greatest(0.05, least(2, extract(epoch FROM contentq.next_claim_in(:'worker'))));
SQL
}

while [ -z "$stopping" ]; do
    IFS=$'\x1f' read -r id attempt topic seconds < <(claim)
    if [ -z "$id" ]; then
        sleep "$seconds"
        continue
    fi
    held=(worker="$worker" id="$id" attempt="$attempt")
    code=$(curl -sS --max-time 60 -D "$scratch/head" -o "$scratch/body" -w '%{http_code}' \
        --data-urlencode "topic=$topic" "$PROVIDER_URL" 2>"$scratch/error") || code=000
    case $code in
    200)
        sql "${held[@]}" title="$topic" body="$(<"$scratch/body")" words="$(wc -w <"$scratch/body")" <<'SQL'
            SELECT contentq.store(:'worker', ARRAY[:id], ARRAY[:attempt],
                                  ARRAY[:'title'], ARRAY[:'body'], ARRAY[:words]);
SQL
        ;;
    429) # Refused: the task comes back, with no retry charged, and the gate learns the pace that the provider bears.
        after=$(sed -n 's/^[Rr]etry-[Aa]fter: *\([0-9.]*\).*/\1/p' "$scratch/head")
        sql "${held[@]}" gate="$gate" after="$after" <<'SQL'
            SELECT contentq.snooze(:'worker', :id, :attempt,
                                   clock_timestamp() + make_interval(secs => nullif(:'after', '')::float8),
                                   'the provider is busy', refused_by => :'gate');
SQL
        ;;
    000 | 502 | 503 | 504) # No answer: after several, the gate closes, and one task of all workers tries.
        sql "${held[@]}" error="no answer: $code $(<"$scratch/error")" <<'SQL'
            SELECT contentq.fail(:'worker', :id, :attempt, :'error', unanswered => true);
SQL
        ;;
    *)
        sql "${held[@]}" error="the provider answered $code" <<'SQL'
            SELECT contentq.fail(:'worker', :id, :attempt, :'error', permanent => true);
SQL
        ;;
    esac >/dev/null
done
