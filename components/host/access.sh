# shellcheck shell=sh
# Runs on an ESXi host (busybox sh). Lets Perenne log in as root with the keys that standard input names, and no longer with those
# that it refuses: lines "accept KEY" and "refuse KEY". Keys of others stay. ESXi keeps this file over a restart.
set -eu
file=/etc/ssh/keys-root/authorized_keys

while read -r what key; do
    case $what in
    accept)
        if ! grep -qF "$key" "$file"; then
            # Behind a last line without its end, two keys would be one line, and neither would be known.
            [ -z "$(tail -c1 "$file")" ] || echo >>"$file"
            echo "$key" >>"$file"
        fi
        ;;
    refuse)
        cp -p "$file" "$file.new" # with its mode; whoever asks meanwhile finds the whole file
        grep -vF "$key" "$file" >"$file.new" || [ $? -eq 1 ]
        mv "$file.new" "$file"
        ;;
    *) echo "line '$what …' is neither accept nor refuse" >&2 && exit 1 ;;
    esac
done
