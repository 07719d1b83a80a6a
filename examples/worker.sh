#!/usr/bin/env bash
# A worker in Bash, with psql and curl: claims a task, requests a text from a provider, and stores it.
#
#   DATABASE_URL=postgresql://... PROVIDER_URL=https://api.example.com/draft examples/worker.sh [CATEGORY...]
#
# Gates and caps need no code: the worker claims, reports the provider's answers, and sleeps for the time that the
# database returns. Start any number, together with workers in other languages.
set -euo pipefail

gate=$(cut -d/ -f3 <<<"$PROVIDER_URL") # the host: shared by all workers of this provider
scratch=$(mktemp -d)

# Runs the SQL on standard input. Each argument is NAME=VALUE, available in SQL as :'NAME'.
sql() { psql "$DATABASE_URL" -XqAt -F $'\x1f' -v ON_ERROR_STOP=1 "${@/#/--set=}"; }

worker=$(sql host="$(uname -n)" pid=$$ gate="$gate" categories="$(IFS=, && echo "$*")" <<'SQL'
    SELECT contentq.register_worker(:'host', :'pid', 1, 'worker.sh', gate => :'gate',
                                    categories => string_to_array(nullif(:'categories', ''), ','));
SQL
)
echo "registered worker=$worker" >&2

# A second loop sends heartbeats: after 10 seconds without one, the task goes to another worker. It also does its share
# of housekeeping, and ends the worker if it is no longer registered.
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
trap 'stopping=yes' TERM INT # after the running task

# One statement: the task if there is one, otherwise the seconds to sleep: at most 2, because there is no LISTEN.
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
    429) # Refused: the task is snoozed without a charged retry, and the gate learns the provider's rate.
        after=$(sed -n 's/^[Rr]etry-[Aa]fter: *\([0-9.]*\).*/\1/p' "$scratch/head")
        sql "${held[@]}" gate="$gate" after="$after" <<'SQL'
            SELECT contentq.snooze(:'worker', :id, :attempt,
                                   clock_timestamp() + make_interval(secs => nullif(:'after', '')::float8),
                                   'the provider is busy', refused_by => :'gate');
SQL
        ;;
    000 | 502 | 503 | 504) # No answer: after several, the gate closes, and one task of all workers probes the provider.
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
