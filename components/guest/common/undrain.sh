#!/bin/sh
# Takes back what drain did. Idempotent.
exec /usr/local/lib/perenne/drain undo
