#!/bin/bash
# shellcheck source=/dev/null disable=SC2154  # variables come from the env file
# Takes this balancer out of service until undrain, over restarts too, without a failed request: the site's address goes to another
# balancer if it is here, and stays away unless nobody else answers there.
set -euo pipefail
. /etc/perenne/balancer.env

fail() {
    echo "perenne: $(uname -n) stays in service: $*" >&2
    exit 1
}

# One whose connection was lost may still be at work, or an undrain that would be overtaken.
exec 9>/run/perenne-drain.lock
flock --wait 90 9 || fail "another drain or undrain has been at work for 90 s"
/usr/local/lib/perenne/hand-over || fail "its users have nowhere to go"
curl --silent --fail --max-time 2 --output /dev/null --cacert /etc/perenne/tls/site-ca.pem \
    --connect-to "::$site_address:443" "https://$site_name/perenne/health" ||
    fail "the site's address $site_address does not answer"
touch /var/lib/perenne/drained
sync /var/lib/perenne
end=$((SECONDS + 10))
while [[ -e /run/perenne/standby ]]; do
    ((SECONDS < end)) || fail "keepalived has not taken notice of /var/lib/perenne/drained within 10 s"
    sleep 0.1
done
echo "perenne: $(uname -n) is drained"
