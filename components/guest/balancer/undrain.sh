#!/bin/bash
# shellcheck source=/dev/null disable=SC2154  # variables come from the env file
# Puts this balancer back into service after drain: it can take the site's address again, and does when the other one fails.
set -euo pipefail
. /etc/perenne/balancer.env

# A drain whose connection was lost may still be at work: were it to end after this, the server would be out of service again.
exec 9>/run/perenne-drain.lock
flock --wait 90 9 || {
    echo "perenne: another drain or undrain has been at work for 90 s" >&2
    exit 1
}
rm --force /var/lib/perenne/drained
end=$((SECONDS + 30))
until [[ -e /run/perenne/standby || $(ip -oneline address show to "$site_address") ]]; do
    if ((SECONDS >= end)); then
        echo "perenne: $(uname -n) can't take the site's address yet (systemctl status apache2 keepalived)" >&2
        exit 1
    fi
    sleep 0.1
done
echo "perenne: $(uname -n) is in service"
