#!/bin/sh
# Whether this server is the primary: only then may it hold the database's address.
exec curl --silent --fail --max-time 0.8 --output /dev/null --cacert /etc/perenne/tls/ca.pem https://127.0.0.1:8008/primary
