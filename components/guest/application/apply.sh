# shellcheck shell=bash disable=SC2154  # lower-case variables come from the role's env file
# Application: WildFly with every service of the stack file. The program does this on one server after the other, so that a
# restart never stops both.

need ca-certificates curl iproute2 nftables openjdk-17-jre-headless openssl
need_user wildfly /var/lib/wildfly
install_files
apply_common
if changed /etc/sysctl.d/; then sysctl --quiet --load /etc/sysctl.d/60-perenne*.conf; fi

# fetch URL SHA256 FILE
fetch() {
    curl --silent --show-error --fail --location --max-time 600 --output "$3.part" "$1" || fail "$1 can't be fetched"
    echo "$2  $3.part" | sha256sum --check --status || fail "$1 is not the file whose SHA-256 is $2"
    mv "$3.part" "$3"
}

# WildFly itself stays as it was unpacked, and belongs to root; what it writes is below /var/lib/wildfly.
home=/opt/wildfly-$wildfly_version
if [[ ! -d $home ]]; then
    [[ $wildfly_url ]] || fail "the template lacks WildFly $wildfly_version: set wildfly.url and wildfly.sha256 in the stack file"
    fetch "$wildfly_url" "$wildfly_sha256" /var/tmp/wildfly
    rm --recursive --force "$home.part" # of a run that was interrupted
    mkdir "$home.part"
    tar --extract --file /var/tmp/wildfly --directory "$home.part" --strip-components 1 --no-same-owner
    rm /var/tmp/wildfly
    mv "$home.part" "$home"
fi
if [[ $(readlink /opt/wildfly) != "${home##*/}" || ! -d /var/lib/wildfly/configuration ]]; then
    systemctl stop wildfly 2>/dev/null || true
    # First: with the link to another release, this one's configuration would count as complete.
    rm -rf /var/lib/wildfly/configuration
    sync --file-system /var/lib
    ln --symbolic --no-dereference --force "${home##*/}" /opt/wildfly
    rm -rf /var/lib/wildfly
    install --directory --owner=wildfly --group=wildfly --mode=0750 /var/lib/wildfly
    cp --recursive "$home/standalone/configuration" /var/lib/wildfly/configuration.part
    chown --recursive wildfly:wildfly /var/lib/wildfly
    sync --file-system /var/lib/wildfly
    mv /var/lib/wildfly/configuration.part /var/lib/wildfly/configuration # only now: it counts as complete once it is there
fi
if [[ ! -e /usr/share/perenne/postgresql-jdbc.jar ]]; then
    need libpostgresql-jdbc-java
    install --directory /usr/share/perenne
    ln --symbolic /usr/share/java/postgresql.jar /usr/share/perenne/postgresql-jdbc.jar
fi

# The key store's password hides nothing: the file's mode does, as it does for the key in PEM.
if changed /etc/perenne/tls/server.pem || [[ ! -e /etc/perenne/wildfly/server.p12 ]]; then
    (umask 077 && openssl pkcs12 -export -name server -passout pass:perenne \
        -in /etc/perenne/tls/server.pem -out /etc/perenne/wildfly/server.p12.new)
    chown wildfly:wildfly /etc/perenne/wildfly/server.p12.new
    mv /etc/perenne/wildfly/server.p12.new /etc/perenne/wildfly/server.p12
fi

artifacts=/var/lib/perenne/artifacts
install --directory "$artifacts"
while read -r service sha256 url; do
    if ! echo "$sha256  $artifacts/$service.war" | sha256sum --check --status 2>/dev/null; then
        [[ $url ]] || fail "$artifacts/$service.war is not the file whose SHA-256 is $sha256"
        fetch "$url" "$sha256" "$artifacts/$service.war"
    fi
done </etc/perenne/wildfly/artifacts

# WildFly's own checks: it runs, it booted without errors, every deployment is there.
ready() { curl --silent --fail --max-time 5 http://127.0.0.1:9990/health/ready; }
systemctl enable --quiet wildfly perenne-gate perenne-split
if changed /etc/systemd/system/perenne-gate.service /usr/local/lib/perenne/keep-gate; then systemctl restart perenne-gate; fi
systemctl start perenne-gate
if ! systemctl is-active --quiet wildfly; then
    systemctl start wildfly
elif changed /etc/perenne/application.env /etc/perenne/tls/server.pem /etc/perenne/wildfly/ /etc/systemd/system/wildfly.service \
    /usr/local/share/perenne/modules/; then
    systemctl restart wildfly
fi # the driver reads the authority's certificate for every connection
wait_for 120 "WildFly runs and has deployed every service (journalctl -u wildfly)" ready
# The next server may restart only when this one takes requests again, unless somebody has drained it.
in_service() { [[ -e /var/lib/perenne/drained ]] || /usr/local/lib/perenne/gate is-open; }
wait_for 30 "the gate is open (/usr/local/lib/perenne/gate state)" in_service
if changed /etc/systemd/system/perenne-split.service /usr/local/lib/perenne/watch-split; then systemctl restart perenne-split; fi
systemctl start perenne-split
done_with_files
