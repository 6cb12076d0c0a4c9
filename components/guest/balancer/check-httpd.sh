#!/bin/sh
# Whether httpd serves: keepalived asks, and gives up the site's address after two failures.
exec curl --silent --fail --max-time 0.8 --output /dev/null --cacert /etc/perenne/tls/ca.pem https://127.0.0.1/perenne/health
