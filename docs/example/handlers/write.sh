#!/usr/bin/env bash
# Drafts an article. Replace the text below with a call of your model.
set -euo pipefail

IFS= read -r task

# Prints a text of the task, and nothing if it is null. The task is one line of JSON with members `"name": value`.
member() {
    local quote='"' pattern='": "(([^"\\]|\\.)*)"'
    if [[ $task =~ \"$1$pattern ]]; then printf '%b' "${BASH_REMATCH[1]//\\$quote/$quote}"; fi
}

topic=$(member topic)
if [[ -z $topic ]]; then
    echo "a task needs a topic" >&2
    exit 1
fi

echo "contentq:progress 0.5 writing" >&2
echo "# $topic"
keywords=$(member keywords) tone=$(member tone)
IFS=',' read -ra words <<< "${keywords//，/,}"
for word in ${words[@]+"${words[@]}"}; do
    echo
    echo "## ${word#"${word%%[! ]*}"}"
    echo
    echo "What a reader has to know, in a ${tone:-neutral} tone."
done
