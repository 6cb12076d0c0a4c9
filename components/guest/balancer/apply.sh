# shellcheck shell=bash disable=SC2154  # lower-case variables come from the role's env file
# Balancer: Apache httpd, and keepalived that moves the site's address away when httpd doesn't answer.

need apache2 curl keepalived logrotate nftables
need_user keepalived_script /nonexistent
install_files
apply_common
systemd-tmpfiles --create /etc/tmpfiles.d/perenne.conf

if changed /etc/apache2/ /etc/perenne/tls/; then
    apachectl configtest >&2 || fail "httpd refuses its configuration"
fi
systemctl enable --quiet apache2
# httpd sets these two aside once, when it starts ("Apache MPM Common Directives"): a reload goes on with the old ones.
limits=$(grep --extended-regexp '^(Server|Thread)Limit ' /etc/apache2/apache2.conf)
if ! systemctl is-active --quiet apache2; then
    systemctl start apache2
elif [[ $limits != "$(cat /var/lib/perenne/httpd-limits 2>/dev/null)" ]]; then
    # Users go to the other balancer first; where that can't take them, they wait.
    /usr/local/lib/perenne/hand-over || true
    systemctl restart apache2
elif changed /etc/apache2/ /etc/perenne/tls/; then
    systemctl reload apache2 # through reload-httpd, which hands users over, too
fi
echo "$limits" >/var/lib/perenne/httpd-limits
wait_for 30 "httpd answers (journalctl -u apache2, /var/log/apache2/error.log)" /usr/local/lib/perenne/check-httpd

if changed /etc/systemd/system/logrotate.timer.d/ && systemctl is-active --quiet logrotate.timer; then
    systemctl restart logrotate.timer
fi

apply_keepalived "$address"
wait_for 30 "the site's address $site_address answers (journalctl -u keepalived)" \
    curl --silent --fail --max-time 1 --cacert /etc/perenne/tls/site-ca.pem \
    --connect-to "::$site_address:443" "https://$site_name/perenne/health"
done_with_files
