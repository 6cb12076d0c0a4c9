#!/bin/bash
# Puts this application server back into service; returns 0 once it takes requests.
set -euo pipefail

# A drain whose connection was lost may still be at work: it would close the gate again.
exec 9>/run/perenne-drain.lock
flock --wait 60 9 || {
    echo "undrain: $(uname -n): another drain or undrain has been at work for a minute" >&2
    exit 1
}

limit=120 # seconds; WildFly starts within some 10
end=$((SECONDS + limit))

ready() { curl --silent --fail --max-time 5 --output /dev/null http://127.0.0.1:9990/health/ready; }
serves() { /usr/local/lib/perenne/gate is-open && ready; }

rm -f /var/lib/perenne/drained
until serves; do
    if ((SECONDS >= end)); then
        echo "undrain: $(uname -n): it does not serve after $limit s: the gate is $(/usr/local/lib/perenne/gate state)," \
            "WildFly is $(systemctl is-active wildfly) (journalctl -u wildfly -u perenne-gate)" >&2
        exit 1
    fi
    sleep 0.2
done
